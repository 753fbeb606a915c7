"""Terms and the documents that have them: what an index of words is made of and searched by."""
