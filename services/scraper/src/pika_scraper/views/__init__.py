"""The scraper's HTTP interface; one file for each kind of resource."""
