"""Waiting: pollers, wait targets, the wait result and its cursor."""
