//go:build clients

package sillytavern

import (
	"strings"
	"testing"
)

const classic = "http://127.0.0.1:5001/api"

// classicBody is what the page sends to KoboldAI Classic.
func classicBody(prompt string, length int, stream bool) object {
	return object{
		"api_server": classic, "prompt": prompt, "gui_settings": false, "streaming": stream, "can_abort": true,
		"max_context_length": 4096, "max_length": length, "rep_pen": 1, "rep_pen_range": 0, "rep_pen_slope": 0, "temperature": 0,
		"tfs": 1, "top_a": 0, "top_k": 0, "top_p": 1, "min_p": 0, "typical": 1, "sampler_order": []int{6, 0, 1, 3, 4, 2, 5},
		"singleline": false, "use_default_badwordsids": false, "mirostat": 0, "mirostat_tau": 5, "mirostat_eta": 0.1,
		"sampler_seed": "7", "stop_sequence": stops(), "sampler_priority": nil,
	}
}

func koboldClassic(t *testing.T, log *output) {
	const generate = tavern + "/api/backends/kobold/generate"
	status := read[struct{ Model, KoboldUnitedVersion, KoboldCppVersion string }](t, ask(t, tavern+"/api/backends/kobold/status", object{"api_server": classic}))
	if !strings.Contains(status.Model, "parley-demo") || status.KoboldUnitedVersion < "1.2.2" || status.KoboldCppVersion == "" {
		t.Fatalf("the page does not connect, or leaves stop strings out, with %+v", status)
	}
	answer := read[struct{ Results []struct{ Text string } }](t, ask(t, generate, classicBody(prompt, 60, false)))
	if len(answer.Results) != 1 || strings.TrimSpace(answer.Results[0].Text) == "" {
		t.Fatalf("no text in %+v", answer)
	}
	var streamed strings.Builder
	for _, data := range events(t, ask(t, generate, classicBody(prompt, 60, true))) {
		streamed.WriteString(read[struct{ Token string }](t, data).Token)
	}
	if streamed.String() != answer.Results[0].Text {
		t.Errorf("streamed %q, at once %q", streamed.String(), answer.Results[0].Text)
	}
	countTokens(t, tavern+"/api/tokenizers/remote/kobold/count", object{"text": counted, "url": classic}, true)
	for stream, path := range map[bool]string{false: "/api/v1/generate", true: "/api/extra/generate/stream"} {
		leave(t, log, generate, classicBody(endless, 3500, stream), stream, path)
	}
}
