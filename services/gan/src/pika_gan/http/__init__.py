"""The views: what is asked, and what is answered."""
