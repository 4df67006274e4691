package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/tools/load"
)

const (
	wholeBytes   = 300
	streamEvents = 100
	pace         = 250 * time.Millisecond // between the events of a slow stream
)

// stubProcess is the stub engine in a process of its own, at two addresses:
// one that answers at once, and one whose streams go on at a slow pace until
// the client goes.
type stubProcess struct {
	load.Process
	fast, slow string
}

func startStub() (*stubProcess, error) {
	p, line, err := load.Again("-stub")
	if err != nil {
		return nil, err
	}
	s := &stubProcess{Process: p}
	if _, err := fmt.Sscan(line, &s.fast, &s.slow); err != nil {
		s.Stop()
		return nil, fmt.Errorf("the stub engine says %q and not where it listens", line)
	}
	return s, nil
}

// serveStub is that process: it says its two addresses and serves.
func serveStub(say io.Writer) error {
	fast, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	slow, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(say, fast.Addr(), slow.Addr())
	failed := make(chan error)
	go func() { failed <- http.Serve(fast, stub(false)) }()
	go func() { failed <- http.Serve(slow, stub(true)) }()
	return <-failed
}

// stub answers as an engine with OpenAI's and llama.cpp's routes does.
func stub(slow bool) http.Handler {
	mux := http.NewServeMux()
	for path, shape := range shapes {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			if bytes.Contains(body, []byte(`"stream":true`)) {
				shape.stream(w, r, slow)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, shape.whole, strings.Repeat("word ", wholeBytes/5))
		})
	}
	for path, answer := range map[string]string{
		"GET /health":    `{"status":"ok"}`,
		"GET /v1/models": `{"object":"list","data":[{"id":"stub","object":"model","owned_by":"llamacpp","meta":{"n_ctx":32768,"n_ctx_train":32768,"n_vocab":256}}]}`,
		"GET /props":     `{"default_generation_settings":{"n_ctx":32768},"total_slots":64,"model_alias":"stub","model_path":"stub.gguf","chat_template":"","bos_token":"","eos_token":"<|im_end|>","build_info":"stub"}`,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, answer)
		})
	}
	mux.HandleFunc("POST /tokenize", tokenize)
	return mux
}

// A shape is how one dialect lays out an answer and the events of a stream.
type shape struct {
	whole, event, last string
}

var shapes = map[string]shape{
	"/v1/chat/completions": {
		whole: `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"stub","choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":60,"total_tokens":69}}`,
		event: `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"stub","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}`,
		last:  `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"stub","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]",
	},
	"/v1/completions": {
		whole: `{"id":"cmpl-1","object":"text_completion","created":1,"model":"stub","choices":[{"index":0,"text":"%s","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":60,"total_tokens":69}}`,
		event: `{"id":"cmpl-1","object":"text_completion","created":1,"model":"stub","choices":[{"index":0,"text":"%s","logprobs":null,"finish_reason":null}]}`,
		last:  `{"id":"cmpl-1","object":"text_completion","created":1,"model":"stub","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"stop"}]}` + "\n\ndata: [DONE]",
	},
	"/completion": {
		whole: `{"index":0,"content":"%s","tokens":[],"stop":true,"stop_type":"eos","stopping_word":"","truncated":false,"tokens_predicted":60,"tokens_evaluated":9,"timings":{"cache_n":0}}`,
		event: `{"index":0,"content":"%s","tokens":[7],"stop":false,"tokens_predicted":1,"tokens_evaluated":9}`,
		last:  `{"index":0,"content":"","tokens":[],"stop":true,"stop_type":"eos","stopping_word":"","truncated":false,"tokens_predicted":100,"tokens_evaluated":9,"timings":{"cache_n":0}}`,
	},
}

// stream sends events whose text is "@", the time in nanoseconds and a space.
func (s shape) stream(w http.ResponseWriter, r *http.Request, slow bool) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	var tick *time.Ticker
	if slow {
		tick = time.NewTicker(pace)
		defer tick.Stop()
	}
	for i := 0; slow || i < streamEvents; i++ {
		if slow {
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
		text := "@" + strconv.FormatInt(time.Now().UnixNano(), 10) + " "
		if _, err := fmt.Fprintf(w, "data: "+s.event+"\n\n", text); err != nil {
			return
		}
		if flush.Flush() != nil {
			return
		}
	}
	fmt.Fprintf(w, "data: %s\n\n", s.last)
}

// tokenize has one token for each four bytes of the text.
func tokenize(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Content string `json:"content"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriter(w)
	out.WriteString(`{"tokens":[`)
	i := 0
	for piece := range slices.Chunk([]byte(q.Content), 4) {
		if i++; i > 1 {
			out.WriteByte(',')
		}
		text, _ := json.Marshal(string(piece)) // the texts here are ASCII
		fmt.Fprintf(out, `{"id":%d,"piece":%s}`, i%1000, text)
	}
	out.WriteString("]}")
	out.Flush()
}
