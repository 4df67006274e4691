package upstream

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Frames of engines in the order in which they may come; %s is the place of a
// text.
var frameShapes = []string{
	`{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}`,
	`{"id":"1","object":"chat.completion.chunk","created":2,"model":"m","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}`,
	`{"choices":[{"index":0,"delta":{"role":"assistant","content":"%s"}}]}`,
	`{"choices":[{"index":0,"delta":{"reasoning_content":"%s"}}]}`,
	`{"choices":[{"index":0,"delta":{"content":"a","reasoning":"%s"}}]}`,
	`{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"%s"},{"type":"text","text":"b"}]}}]}`,
	`{"model":"%s","choices":[{"index":0,"delta":{"content":"a\u0062"}}]}`,
	`{"model":"ab","choices":[{"index":0,"delta":{"content":"\u0061b"}}]}`,
	`{"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":"stop"}]}`,
	`{"choices":[{"index":0,"delta":{"content":"%s"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}`,
	`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"%s"}}]}}]}`,
	`{"choices":[{"index":0,"text":"%s","finish_reason":null}]}`,
	`{"choices":[{"index":0,"text":"%s","logprobs":null,"finish_reason":""}]}`,
	`{"choices":[{"index":1,"text":"%s"}]}`,
	`{"choices":[{"index":0,"text":"%s","stop_reason":"x"}]}`,
	`{"text":"%s"}`,
	`["%s"]`,
	`{"choices":[{"delta":{"content":"%s"}}`,
}

var frameTexts = []string{"word ", "x", "another text", "content", "m", "", `\n`, `\"`, `\\`, "ü", `\u00fc`, `\ud83c\udf4f`, "\xff", "a\tb", `","content":"y`, `"`, "1", "ab", "null"}

// readers are those that expect frames to be alike, with what they read of each
// frame otherwise.
var readers = map[string]struct {
	fast, slow func() func(frame) (chunk, error)
}{
	"chat":        {newOpenAIReader, openAIFrames},
	"completions": {readCompletions, func() func(frame) (chunk, error) { return completionFrames }},
}

// same reads frames with and without what is remembered of the one before.
func same(t *testing.T, frames []string) {
	t.Helper()
	for name, r := range readers {
		fast, slow := r.fast(), r.slow()
		for i, data := range frames {
			got, gotErr := fast(frame{data: []byte(data)})
			want, wantErr := slow(frame{data: []byte(data)})
			if !reflect.DeepEqual(got, want) || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Fatalf("%s, frame %d of\n%s\ngot  %+v, %v\nwant %+v, %v", name, i, strings.Join(frames[:i+1], "\n"), got, gotErr, want, wantErr)
			}
		}
	}
}

func TestFramesThatAreAlikeAreReadAsAllOthers(t *testing.T) {
	for _, first := range frameShapes {
		for _, second := range frameShapes {
			var frames []string
			for i, text := range frameTexts {
				frames = append(frames, strings.ReplaceAll(first, "%s", text), strings.ReplaceAll(first, "%s", frameTexts[(i+1)%len(frameTexts)]),
					strings.ReplaceAll(second, "%s", text))
			}
			same(t, frames)
		}
	}
}

func TestFramesThatAreAlikeAreNotTakenApart(t *testing.T) {
	taken := 0
	read := alike(func(f frame) (chunk, error) {
		taken++
		return newOpenAIReader()(f)
	})
	for i := range 100 {
		want := fmt.Sprintf("word %d", i)
		c, err := read(frame{data: fmt.Appendf(nil, frameShapes[0], want)})
		if err != nil || c.text != want {
			t.Fatalf("got %+v, %v", c, err)
		}
	}
	if taken > 2 {
		t.Errorf("%d of 100 frames were taken apart", taken)
	}
	taken = 0
	for i := range 100 { // each has another number in it
		if _, err := read(frame{data: fmt.Appendf(nil, `{"created":%d,"choices":[{"delta":{"content":"x%d"}}]}`, i, i)}); err != nil {
			t.Fatal(err)
		}
	}
	if taken > 100+mostMisses {
		t.Errorf("100 frames that are not alike were taken apart %d times", taken)
	}
}

func FuzzAlike(f *testing.F) {
	for _, shape := range frameShapes {
		f.Add(strings.ReplaceAll(shape, "%s", "a") + "\n" + strings.ReplaceAll(shape, "%s", "bc"))
	}
	f.Fuzz(func(t *testing.T, lines string) { same(t, strings.Split(lines, "\n")) })
}

func BenchmarkReadOpenAI(b *testing.B) {
	var frames []frame
	for i := range 100 {
		frames = append(frames, frame{data: fmt.Appendf(nil, frameShapes[0], fmt.Sprintf("@%d ", i))})
	}
	for name, newReader := range map[string]func() func(frame) (chunk, error){"alike": newOpenAIReader, "each apart": openAIFrames} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read := newReader()
				for _, f := range frames {
					if _, err := read(f); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
