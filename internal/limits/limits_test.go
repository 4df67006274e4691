package limits

import (
	"errors"
	"flag"
	"math"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/limits.md")

func TestTheDocumentationIsPrintedFromTheTable(t *testing.T) {
	const file = "../../docs/limits.md"
	if *update {
		if err := os.WriteFile(file, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(have), "\r\n", "\n") != Markdown() {
		t.Errorf("%s is not what the table says: go test ./internal/limits -update", file)
	}
}

func TestEveryRowAllowsItsBoundsAndNothingBeyond(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range All() {
		t.Run(l.Name, func(t *testing.T) {
			if seen[l.Name] {
				t.Errorf("two rows are named %q", l.Name)
			}
			seen[l.Name] = true
			if l.What == "" {
				t.Error("the row does not say what it bounds")
			}
			for _, v := range []float64{l.Min, l.Max} {
				if err := l.Check(v); err != nil {
					t.Errorf("Check(%g) = %v, want nil", v, err)
				}
			}
			beyond := []float64{math.Nextafter(l.Max, math.Inf(1)), math.Nextafter(l.Min, math.Inf(-1)), math.NaN(), math.Inf(1), math.Inf(-1)}
			for _, v := range beyond {
				err := l.Check(v)
				var e *Exceeded
				if !errors.As(err, &e) || e.Limit != l {
					t.Errorf("Check(%g) = %v, want *Exceeded of this row", v, err)
				} else if !strings.Contains(err.Error(), l.Name) {
					t.Errorf("%q does not name the limit", err)
				}
			}
		})
	}
}
