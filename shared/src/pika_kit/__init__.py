"""What every pikastack service needs: storage, jobs, models, images, the Flask base."""
