"""Knowledge: notes and folders, as tools and resources."""
