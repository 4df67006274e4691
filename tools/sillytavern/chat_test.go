//go:build clients

package sillytavern

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const chatPath = "/api/backends/chat-completions"

// conversation is one as the page lays it out by default: the prompt's parts
// as system messages, examples, a greeting first, a note within, instructions
// at the end.
func conversation() []object {
	return []object{
		{"role": "system", "content": "Write Robin's next reply in a fictional chat between Robin and Ann."},
		{"role": "system", "content": "Robin is a gardener who likes short answers."},
		{"role": "system", "content": "[Example Chat]"},
		{"role": "system", "name": "example_user", "content": "Are you there?"},
		{"role": "system", "name": "example_assistant", "content": "Among the beans."},
		{"role": "system", "content": "[Start a new Chat]"},
		{"role": "assistant", "content": "Hello, I am Robin."},
		{"role": "user", "content": "Hi!"},
		{"role": "user", "content": "What is your name?"},
		{"role": "system", "content": "[It rains.]"},
		{"role": "assistant", "content": "My name is Robin."},
		{"role": "user", "content": "What did I say first?"},
		{"role": "system", "content": "[Write the next reply only as Robin.]"},
	}
}

func chatBody(messages []object) object {
	return object{
		"type": "normal", "chat_completion_source": "custom", "custom_url": own + "/v1", "model": "",
		"messages": messages, "temperature": 0, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0,
		"max_tokens": 80, "stream": false, "user_name": "Ann", "char_name": "Robin", "group_names": []string{},
		"custom_prompt_post_processing": "", "custom_include_body": "", "custom_exclude_body": "", "custom_include_headers": "",
		"use_sysprompt": false, "show_thoughts": true, "include_reasoning": true, "reasoning_effort": "auto", "enable_web_search": false,
		"request_images": false, "stop": []string{"\nAnn:"},
	}
}

func chatCompletion(t *testing.T, log *output) {
	t.Run("status", func(t *testing.T) {
		answer := ask(t, tavern+chatPath+"/status", object{"chat_completion_source": "custom", "custom_url": own + "/v1"})
		models := read[struct{ Data []struct{ ID string } }](t, answer)
		if len(models.Data) != 1 || models.Data[0].ID != "parley-demo" {
			t.Errorf("got %s", answer)
		}
	})
	var whole string
	t.Run("generate", func(t *testing.T) {
		whole = chatText(t, ask(t, tavern+chatPath+"/generate", chatBody(conversation())))
		if strings.TrimSpace(whole) == "" {
			t.Error("no answer")
		}
	})
	t.Run("stream", func(t *testing.T) {
		body := chatBody(conversation())
		body["stream"] = true
		if got := chatDeltas(t, ask(t, tavern+chatPath+"/generate", body)); got != whole {
			t.Errorf("streamed %q, at once %q", got, whole)
		}
	})
	t.Run("every message is in the prompt", func(t *testing.T) {
		prompt := rendered(t, object{"messages": conversation()})
		at := 0
		for _, m := range conversation() {
			i := strings.Index(prompt[at:], m["content"].(string))
			if i < 0 {
				t.Fatalf("%q is not in its place in\n%s", m["content"], prompt)
			}
			at += i
		}
	})
	t.Run("swipes in one request", func(t *testing.T) {
		body := chatBody(conversation())
		body["n"], body["temperature"] = 3, 1
		answer := read[struct {
			Choices []struct{ Index int }
		}](t, ask(t, tavern+chatPath+"/generate", body))
		if len(answer.Choices) != 3 {
			t.Errorf("%d choices, not 3", len(answer.Choices))
		}
	})
	t.Run("continue with a prefill", func(t *testing.T) {
		messages := append(conversation(), object{"role": "assistant", "content": "You said"})
		body := chatBody(messages)
		body["custom_include_body"] = "continue_final_message: true\n" // no such field is in the page's own body
		got := chatText(t, ask(t, tavern+chatPath+"/generate", body))
		if strings.HasPrefix(got, "You said") {
			t.Errorf("%q says again what it continues", got)
		}
	})
	t.Run("more samplers in the body", func(t *testing.T) {
		body := chatBody(conversation())
		body["temperature"] = 2
		body["custom_include_body"] = preset(t).IncludeBody + "\ntop_k: 1\n" // and so there is no choice
		if got := chatText(t, ask(t, tavern+chatPath+"/generate", body)); got == "" {
			t.Error("no answer")
		}
		body["custom_include_body"] = "top_k: 1\nseed: 5\n"
		one := chatText(t, ask(t, tavern+chatPath+"/generate", body))
		body["custom_include_body"] = "top_k: 1\nseed: 6\n"
		if other := chatText(t, ask(t, tavern+chatPath+"/generate", body)); one != whole || other != whole {
			t.Errorf("top_k 1 at temperature 2 says %q and %q, temperature 0 says %q", one, other, whole)
		}
	})
	t.Run("an answer that must be JSON", func(t *testing.T) {
		body := chatBody(conversation())
		body["max_tokens"] = 200
		body["json_schema"] = object{"name": "mood", "strict": true, "value": object{
			"type": "object", "properties": object{"happy": object{"type": "boolean"}}, "required": []string{"happy"}, "additionalProperties": false}}
		var mood struct{ Happy *bool }
		text := chatText(t, ask(t, tavern+chatPath+"/generate", body))
		if err := json.Unmarshal([]byte(text), &mood); err != nil || mood.Happy == nil {
			t.Errorf("%q is not what the schema says: %v", text, err)
		}
	})
	t.Run("an error shows its reason", func(t *testing.T) {
		body := chatBody(conversation())
		body["custom_include_body"] = "temperature: -3\n"
		resp := post(t, t.Context(), tavern+chatPath+"/generate", body)
		defer resp.Body.Close()
		var answer struct{ Error any }
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Error == nil {
			t.Errorf("%s, %v: no error for the page to show", resp.Status, err)
		}
	})
	for _, stream := range []bool{false, true} {
		t.Run(map[bool]string{false: "abort", true: "abort a stream"}[stream], func(t *testing.T) {
			body := chatBody(conversation())
			body["stream"], body["max_tokens"], body["custom_include_body"] = stream, 3500, "ignore_eos: true\n"
			leave(t, log, tavern+chatPath+"/generate", body, stream, "/v1/chat/completions")
		})
	}
}

// chatText is the text of an answer as the page reads it.
func chatText(t *testing.T, answer string) string {
	t.Helper()
	a := read[struct {
		Error   any
		Content any
		Choices []struct{ Message struct{ Content *string } }
	}](t, answer)
	if a.Error != nil || a.Content != nil || len(a.Choices) == 0 || a.Choices[0].Message.Content == nil {
		t.Fatalf("the page finds no text in %s", answer)
	}
	return *a.Choices[0].Message.Content
}

// chatDeltas is the text of a stream as the page reads it.
func chatDeltas(t *testing.T, stream string) string {
	t.Helper()
	var text strings.Builder
	for _, data := range events(t, stream) {
		e := read[struct {
			Error   any
			Choices []struct{ Delta struct{ Content string } }
		}](t, data)
		if e.Error != nil {
			t.Fatalf("the stream says %s", data)
		}
		if len(e.Choices) > 0 {
			text.WriteString(e.Choices[0].Delta.Content)
		}
	}
	return text.String()
}

// events are the data of a stream of events, up to [DONE], which must be last.
func events(t *testing.T, stream string) []string {
	t.Helper()
	var all []string
	for event := range strings.SplitSeq(stream, "\n\n") {
		for line := range strings.SplitSeq(event, "\n") {
			if data, found := strings.CutPrefix(line, "data:"); found {
				all = append(all, strings.TrimSpace(data))
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("no events in %q", stream)
	}
	if last := len(all) - 1; all[last] == "[DONE]" {
		all = all[:last]
	}
	return all
}

// otherNames reaches Parley as from a container: by names that are of a
// private network, which the guard lets in, and by one of the web, which could
// have been bent to this machine.
func otherNames(t *testing.T) {
	for _, name := range []string{"parley", "parley.internal", "host.docker.internal", "parley.local"} {
		body := chatBody(conversation())
		body["custom_url"] = "http://" + name + ":7275/v1"
		if chatText(t, ask(t, tavern+chatPath+"/generate", body)) == "" {
			t.Errorf("%s: no answer", name)
		}
	}
	resp := post(t, t.Context(), tavern+"/api/backends/text-completions/status", object{"api_server": "http://parley.example.org:7275", "api_type": "generic"})
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		t.Error("a name of the web, which was not configured, reached the server")
	}
}
