"""What the scraper answers over HTTP; one file for each kind of resource."""
