// Command logits prints what a model computes for a sequence of tokens, as the
// llama.cpp oracle of the shared tools prints it, so that anyone can compare:
//
//	go run ./tools/logits MODEL.gguf 1,15043,3186
//
// The output is {"vocab": n, "logits": [[…], …]}, one list for each token.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"parley/internal/gguf"
	"parley/internal/transformer"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: logits MODEL.gguf ID,ID,…")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "logits:", err)
		os.Exit(1)
	}
}

func run(path, list string) error {
	var ids []int32
	for _, s := range strings.Split(list, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a list of token ids: %w", list, err)
		}
		ids = append(ids, int32(id))
	}
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := transformer.Load(f, transformer.Options{Threads: runtime.NumCPU()})
	if err != nil {
		return err
	}
	defer m.Close()
	rows, err := m.Forward([]transformer.Step{{KV: m.NewKV(), Tokens: ids, Logits: transformer.All}})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"vocab": m.Config().Vocab, "logits": rounded(rows)})
}

// rounded keeps five digits, as the oracle does.
func rounded(rows [][]float32) [][]float64 {
	out := make([][]float64, len(rows))
	for i, row := range rows {
		for _, v := range row {
			out[i] = append(out[i], math.Round(float64(v)*1e5)/1e5)
		}
	}
	return out
}
