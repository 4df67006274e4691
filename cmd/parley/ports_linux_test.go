package main

import "testing"

func TestReadingTheTableOfSockets(t *testing.T) {
	const line = "   0: 0100007F:1C6B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 123456 1 0000000000000000 100 0 0 10 0"
	if inode, ok := listeningInode(line, 0x1C6B); !ok || inode != "123456" {
		t.Errorf("got %q, %v", inode, ok)
	}
	if _, ok := listeningInode(line, 80); ok {
		t.Error("another port matches")
	}
	connected := "   0: 0100007F:1C6B 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 123456 1"
	if _, ok := listeningInode(connected, 0x1C6B); ok {
		t.Error("a connection counts as listening")
	}
	for _, broken := range []string{"", "  sl  local_address rem_address", "a b c 0A e f g h i j"} {
		if _, ok := listeningInode(broken, 80); ok {
			t.Errorf("%q matches", broken)
		}
	}
}
