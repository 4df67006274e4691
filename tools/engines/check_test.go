//go:build engines

package engines

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// BenchmarkCheck asks Parley, the engines that are built, and Parley before
// each of them whether they keep their promises, and prints the table of
// docs/check.md.
func BenchmarkCheck(b *testing.B) {
	gguf, err := filepath.Abs("../../internal/demo/demo.gguf")
	if err != nil {
		b.Fatal(err)
	}
	parley := program("parley")
	if parley == "" {
		b.Fatal("set PARLEY_BINARY")
	}
	for range b.N {
		args, columns := []string{"check", "--markdown"}, []string{"check"}
		var behind, named []string
		for _, name := range Built(b) {
			e := known[name]
			plain := e.args
			e.args = func(gguf, port string) []string {
				args := plain(gguf, port)
				for i, a := range args { // room for a chat that grows
					if a == "--ctx-size" {
						args[i+1] = "4096"
					}
					if a == "--n_ctx" {
						args[i+1] = "2048"
					}
				}
				if name == "llama-cpp-python" { // else a newer request ends the one before it
					args = append(args, "--interrupt_requests", "false")
				}
				return args
			}
			if e.env != nil {
				env := e.env
				e.env = func(folder, port string) []string {
					return append(env(folder, port), "OLLAMA_CONTEXT_LENGTH=2048")
				}
			}
			url := start(b, name, program(name), e, gguf)
			args, columns = append(args, url), append(columns, name)
			if name == "parley" {
				continue
			}
			named = append(named, "Parley before "+name)
			behind = append(behind, start(b, "parley", parley, engine{
				args: func(_, port string) []string {
					return []string{"serve", "--model", ModelName + "=" + url, "--listen", "127.0.0.1:" + port}
				},
				ready: "/readyz",
			}, gguf))
		}
		var out bytes.Buffer
		cmd := exec.Command(parley, slices.Concat(args, behind)...)
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		if err := cmd.Run(); err != nil && !strings.HasPrefix(err.Error(), "exit status 1") {
			b.Fatal(err)
		}
		// Several of them call themselves Parley.
		_, table, _ := strings.Cut(out.String(), "\n")
		fmt.Printf("\n| %s |\n%s\n", strings.Join(slices.Concat(columns, named), " | "), table)
	}
}
