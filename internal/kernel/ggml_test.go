package kernel

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var (
	update = flag.Bool("update", false, "write what ggml says into testdata; needs -ggml")
	ggml   = flag.String("ggml", "", "path of libggml-base.so")
)

// A dequantised is what ggml reads in some blocks.
type dequantised struct {
	Blocks []byte `json:"blocks"`
	Values []byte `json:"values"` // float32, little endian
}

func TestRowsLikeGGML(t *testing.T) {
	for _, ty := range Types[3:] {
		t.Run(ty.String(), func(t *testing.T) {
			path := filepath.Join("testdata", strings.ToLower(ty.String())+".json")
			if *update {
				askGGML(t, ty, path)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var g dequantised
			if err := json.Unmarshal(b, &g); err != nil {
				t.Fatal(err)
			}
			m, err := NewMatrix(ty, 1, len(g.Blocks)/ty.BlockBytes()*ty.BlockSize(), g.Blocks)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float32, m.Cols)
			m.Row(got, 0)
			for i, v := range got {
				want := math.Float32frombits(binary.LittleEndian.Uint32(g.Values[4*i:]))
				if v != want {
					t.Fatalf("element %d is %v, in ggml %v", i, v, want)
				}
			}
		})
	}
}

// askGGML writes what ggml reads in 512 random elements.
func askGGML(t *testing.T, ty Type, path string) {
	const n = 512
	name := strings.ToLower(ty.String())
	name = strings.Replace(name, "_k", "_K", 1)
	g := dequantised{Blocks: randomRows(rand.New(rand.NewPCG(11, 12)), ty, 1, n)}
	c := exec.Command("python3", filepath.Join("testdata", "dequantise.py"), *ggml, name, strconv.Itoa(n))
	c.Stdin = bytes.NewReader(g.Blocks)
	var err error
	if g.Values, err = c.Output(); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
