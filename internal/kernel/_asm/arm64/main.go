// Command arm64 writes the assembly of package kernel for arm64 processors that
// have NEON's dot products:
//
//	go generate ./internal/kernel
//
// Every function here has a twin in Go that says what it computes; the tests hold
// the two together bit by bit. The order in which floats are added is part of it.
package main

import (
	"flag"
	"log"
	"os"
)

func main() {
	part := flag.String("part", "rows", "what to write: rows, panels, attention")
	out := flag.String("out", "", "the assembly")
	stubs := flag.String("stubs", "", "its declarations in Go")
	flag.Parse()
	var p program
	switch *part {
	case "rows":
		rows(&p)
	case "panels":
		panels(&p)
	case "attention":
		attention(&p)
		activations(&p)
		elements(&p)
	default:
		log.Fatalf("no part %q", *part)
	}
	assembly, declarations := p.text("go run ./arm64 -part " + *part)
	for path, text := range map[string]string{*out: assembly, *stubs: declarations} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
