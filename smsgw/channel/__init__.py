"""Delivery channels: what a message leaves through."""
