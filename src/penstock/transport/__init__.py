"""Request bytes out, response bytes in: connections, deadlines, bounds, and no word of prompts."""
