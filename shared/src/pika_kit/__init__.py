"""What every pikastack service shares: storage, jobs, models, images and the Flask application."""
