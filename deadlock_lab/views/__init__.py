"""Ways to look at a recording: words, pictures, the animated player. Only the face loads them."""
