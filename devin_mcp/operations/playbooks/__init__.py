"""Playbooks: reusable instructions for sessions, as tools and resources."""
