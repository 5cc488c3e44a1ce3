"""Sessions: model, conversation, tools and resources."""
