package upstream

import (
	"fmt"
	"reflect"
	"testing"
)

// A reader that has seen other frames says of a frame what one says that has
// seen none.
func sameAsAlone(t *testing.T, frames ...string) {
	t.Helper()
	read := newOpenAIReader()
	for i, data := range frames {
		got, gotErr := read(frame{data: []byte(data)})
		want, wantErr := newOpenAIReader()(frame{data: []byte(data)})
		if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("frame %d, %s:\n%+v, %v\nalone:\n%+v, %v", i, data, got, gotErr, want, wantErr)
		}
	}
}

func delta(content string) string {
	return `{"id":"a","created":7,"choices":[{"index":0,"delta":{"content":` + content + `},"finish_reason":null}],"model":"m"}`
}

func TestAFrameMeansTheSameBehindOthers(t *testing.T) {
	for _, content := range []string{
		`"you"`, `" \"you\" \u00e9\ud83c\udf4e\n"`, `""`, `null`, `[]`, `"a","role":"assistant"`, `"a\"`, `"\ud83c"`, `"a`, `1`, "\"\xff\"", "\"\n\"", `"x"},"finish_reason":"stop"}],"choices":[{"delta":{"content":"y"`,
	} {
		sameAsAlone(t, delta(`"Hi"`), delta(content), delta(`"end"`))
	}
	sameAsAlone(t, delta(`"m"`), delta(`"n"`)) // is it the model's name?
	sameAsAlone(t, delta(`"a"`), delta(`"b"`)) // or the id?
	sameAsAlone(t, delta(`"Hi"`), delta(`"Hi"`)[:40], delta(`"Ho"`))
	both := `{"choices":[{"delta":{"content":"A","refusal":"B"}}]}`
	sameAsAlone(t, both, `{"choices":[{"delta":{"content":"C","refusal":"B"}}]}`)
	sameAsAlone(t, `{"choices":[{"delta":{"content":[{"text":"A"}]}}]}`, `{"choices":[{"delta":{"content":[{"text":"C"}]}}]}`)
	sameAsAlone(t, `{"choices":[{"delta":{"content":"A"},"finish_reason":"stop"}]}`, `{"choices":[{"delta":{"content":"B"},"finish_reason":"stop"}]}`)
	sameAsAlone(t, `{"choices":[{"delta":{"content":"A"}}],"usage":{"prompt_tokens":3}}`, `{"choices":[{"delta":{"content":"B"}}],"usage":{"prompt_tokens":3}}`)
	sameAsAlone(t, `{"choices":[{"delta":{"content":"A","content":"Z"}}]}`, `{"choices":[{"delta":{"content":"B","content":"Z"}}]}`)
}

func FuzzAFrameMeansTheSameBehindOthers(f *testing.F) {
	f.Add(`"Hi"`, `"you"`, `"finish_reason":null`)
	f.Add(`"Hi"`, `"a\"b"`, `"model":"Hi"`)
	f.Fuzz(func(t *testing.T, first, second, field string) {
		with := func(content string) string {
			return fmt.Sprintf(`{"choices":[{"delta":{"content":%s},%s}],%[2]s}`, content, field)
		}
		sameAsAlone(t, with(first), with(second), with(first))
	})
}

func BenchmarkReadingAStream(b *testing.B) {
	read := newOpenAIReader()
	data := []byte(delta(`" word"`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(frame{data: data}); err != nil {
			b.Fatal(err)
		}
	}
}
