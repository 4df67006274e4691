package gguf

// forget leaves it to the operating system.
func forget(data []byte) {}

// readAhead likewise.
func readAhead(data []byte) {}
