package upstream_test

import (
	"testing"

	"parley/internal/upstream"
	"parley/internal/upstream/enginetest"
	"parley/llm"
	"parley/llm/llmtest"
)

// open opens the model of a fake.
func open(t *testing.T, fake *enginetest.Engine, o upstream.Options) *upstream.Opened {
	t.Helper()
	o.URL = fake.URL
	e, err := upstream.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if got := e.Kind().Name; got != fake.Kind {
		t.Fatalf("%s was taken for %s", fake.Kind, got)
	}
	opened, err := e.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func TestEveryKindKeepsTheContractOfAModel(t *testing.T) {
	for _, kind := range enginetest.Kinds() {
		if completes, _ := enginetest.Ways(kind); !completes {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			fake := enginetest.Start(t, kind, enginetest.Options{})
			opened := open(t, fake, upstream.Options{Way: upstream.AsModel})
			llmtest.Run(t, llmtest.Subject{Model: opened.Model, Prompt: llm.Text("Who are you?"), Untold: true, Uncounted: true, Mute: kind == "koboldai" || kind == "simpleai"})
		})
	}
}
