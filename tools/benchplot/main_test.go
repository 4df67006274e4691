package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const results = `{"type":"Q8_0","kernels":"avx512","sequences":[{"sequences":1,"decode_tps":25,"decode_ceiling_tps":30},{"sequences":4,"decode_tps":80,"decode_ceiling_tps":120}],
"contexts":[{"context":512,"decode_tps":24,"decode_ceiling_tps":29},{"context":4096,"decode_tps":20,"decode_ceiling_tps":25}]}
{"type":"Q5_0","kernels":"go","sequences":[],"contexts":[{"context":512,"sequences":1,"decode_tps":24,"decode_ceiling_tps":29},{"context":512,"sequences":4,"decode_tps":50,"decode_ceiling_tps":29},
{"context":32000,"sequences":4,"decode_tps":20,"decode_ceiling_tps":25}]}
{"type":"<Q4>","kernels":"go","sequences":[{"sequences":1,"decode_tps":40,"decode_ceiling_tps":50}],"contexts":[]}
`

func TestWhatWasMeasuredIsDrawn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(path, []byte(results+strings.ReplaceAll(results, "Q8_0", "<Q6>")), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := read([]string{path})
	if err != nil || len(all) != 6 {
		t.Fatalf("%d results, %v", len(all), err)
	}
	svg, err := draw(all)
	if err != nil {
		t.Fatal(err)
	}
	elements := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
		}
	}
	if got := elements["circle"]; got != 12 {
		t.Errorf("%d points are drawn, measured in lines are 12", got)
	}
	for _, want := range []string{"Q8_0, avx512", "&lt;Q6&gt;", "Q5_0, go, 4 streams", ">32000<", "prefers-color-scheme: dark", ">4096<", ">4<", "stroke-dasharray"} {
		if !strings.Contains(svg, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	if strings.Contains(svg, "Q4") || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("a line of one point is drawn: %s", svg)
	}
	if _, err := draw(all[2:3]); err == nil {
		t.Error("an empty drawing")
	}
}

func TestMarksOfAnAxisAreRound(t *testing.T) {
	for most, want := range map[float64]float64{100: 20, 55: 10, 61: 20, 0.9: 0.2, 23: 5} {
		if got := scale(most); got != want {
			t.Errorf("up to %v: %v, want %v", most, got, want)
		}
	}
}
