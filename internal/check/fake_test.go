package check

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// A fake is a chat server with a model of random weights: what it says next is
// drawn from a hash of all that was said before. It reads ChatML, has a prompt
// cache, works on all requests at the same time, each the slower the more
// there are, and keeps every promise but for what its fields say.
type fake struct {
	mu      sync.Mutex
	running int
	seen    [][]token // prompts with their replies
	draws   uint64    // for what is not seeded

	context  int
	shows    bool // llama.cpp's routes: the prompt, tokens, what is running
	secret   bool // neither probabilities nor the cache are told
	noUsage  bool
	block    int           // the cache holds whole blocks of so many tokens; 0: every token
	brief    int           // the model ends after so many tokens; 0: never
	thinks   bool          // all that is said is thoughts
	single   bool          // requests are answered one after the other
	turn     chan struct{} // has room for one of them
	requests int
	said     int           // tokens of all replies
	reading  time.Duration // for a token of the prompt; 0: 1 ms
	saying   time.Duration // for a token of the reply; 0: 4 ms

	// The faults. Each is nil or false in a healthy server.
	arrange    func([]message) []message                                 // what becomes of the messages
	refuse     func([]message) string                                    // why they are refused
	forges     bool                                                      // marks in messages become control tokens
	clean      func(string) string                                       // what becomes of a message's text
	cuts       bool                                                      // prompts are cut at the context
	stops      func(text string, stops []string) (end int, which string) // where a reply ends
	leaks      bool                                                      // a stream gives away what may become a stop string
	swallows   bool                                                      // what is held back at the end is lost
	mostStops  int                                                       // more are refused
	tellsFirst bool                                                      // the first stop string is always told to have matched
	seedless   bool                                                      // seeds are ignored
	lukewarm   bool                                                      // temperatures are ignored
	crowded    bool                                                      // company changes what is said
	cacheTells bool                                                      // a warm cache changes what is said
	forgetful  bool                                                      // there is no cache
	wholeOnly  bool                                                      // only a whole prompt is found in the cache
	deaf       func(q *request) bool                                     // who leaves is not noticed
	usage      func(u map[string]any, stream bool)                       // what is counted
	frame      func(data string) string                                  // how an event is written
	event      func(i int, e map[string]any)                             // what is in an event
	noDone     bool
	ignores    func(q *request)                          // which fields are ignored in silence
	silent     bool                                      // what is ignored is not reported
	echoes     bool                                      // a wrong model's name comes back
	crashes    bool                                      // wrong bodies are the server's own failure
	believes   bool                                      // a wrong body is answered
	prefill    func(text string) (prompt, before string) // how a prefill is read, and what the reply begins with
	list       string                                    // the list of models
}

// A token of the fake's vocabulary.
type token struct {
	text    string
	control bool
}

// What it says is divided into the same tokens when it is read.
var vocabulary = func() (v []string) {
	for _, w := range strings.Fields("fox crow sea sky moon wood tree song bird stone river night apple owl dusk rain snow hill lake") {
		v = append(v, " "+w)
	}
	return append(v, " é", " ü", " 日本", " ж", ",", ".", "!", "-", "\n", " I", " a", " of", " in")
}()

// read divides text into tokens.
func read(text string, controls bool) (tokens []token) {
	for text != "" {
		n := 0
		if controls {
			for _, mark := range []string{"<|im_start|>", "<|im_end|>"} {
				if strings.HasPrefix(text, mark) {
					n = len(mark)
				}
			}
			if n > 0 {
				tokens = append(tokens, token{text[:n], true})
				text = text[n:]
				continue
			}
		}
		if text[0] == ' ' {
			n = 1
		}
		const longest = 5
		for letters := 0; n < len(text) && letters < longest; letters++ {
			r, size := utf8.DecodeRuneInString(text[n:])
			if !unicode.IsLetter(r) {
				break
			}
			n += size
		}
		if n == 0 {
			_, n = utf8.DecodeRuneInString(text)
		}
		tokens = append(tokens, token{text[:n], false})
		text = text[n:]
	}
	return tokens
}

func textOf(tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.text)
	}
	return b.String()
}

// content is a message's content as text.
func content(m message) string {
	text := ""
	switch c := m.Content.(type) {
	case string:
		text = c
	case []any:
		for _, p := range c {
			text += fmt.Sprint(p.(map[string]any)["text"])
		}
	}
	for _, call := range m.ToolCalls {
		text += call.Function.Name + call.Function.Arguments
	}
	return text
}

// lay lays messages out as ChatML.
func (f *fake) lay(q *request) []token {
	messages := q.Messages
	if f.arrange != nil {
		messages = f.arrange(slices.Clone(messages))
	}
	var tokens []token
	open := func(role string) {
		tokens = append(append(tokens, token{"<|im_start|>", true}), read(role+"\n", false)...)
	}
	for i, m := range messages {
		text := content(m)
		if f.clean != nil {
			text = f.clean(text)
		}
		if m.Name != "" {
			text = m.Name + ": " + text
		}
		if q.Continue && i == len(messages)-1 {
			if f.prefill != nil {
				text, _ = f.prefill(text)
			}
			open("assistant")
			return append(tokens, read(text, false)...)
		}
		open(m.Role)
		tokens = append(tokens, read(text, f.forges)...)
		tokens = append(append(tokens, token{"<|im_end|>", true}), token{"\n", false})
	}
	open("assistant")
	return tokens
}

// next draws a token: its text and the probabilities, the likeliest first.
func (f *fake) next(state uint64, q *request, choice uint64) (string, []float64) {
	type candidate struct {
		text         string
		logit, score float64
	}
	t := 1.0
	if q.Temperature != nil {
		t = *q.Temperature
	}
	if f.lukewarm {
		t = 0
	}
	all := make([]candidate, len(vocabulary))
	sum := 0.0
	for i, text := range vocabulary {
		logit := 4 * uniform(state, uint64(i))
		logit += q.LogitBias[fmt.Sprint(i)]
		sum += math.Exp(logit)
		all[i] = candidate{text, logit, logit}
		if t > 0 { // Gumbel's trick
			all[i].score = logit/t - math.Log(-math.Log(uniform(state^choice*0x9e3779b97f4a7c15, uint64(i)+1000)))
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmpFloat(b.logit, a.logit) })
	var probs []float64
	for _, c := range all[:5] {
		probs = append(probs, c.logit-math.Log(sum))
	}
	best := slices.MaxFunc(all, func(a, b candidate) int { return cmpFloat(a.score, b.score) })
	return best.text, probs
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// uniform is a number in (0, 1) that depends on both.
func uniform(a, b uint64) float64 {
	x := a ^ (b+1)*0xbf58476d1ce4e5b9
	for range 3 {
		x ^= x >> 31
		x *= 0x94d049bb133111eb
		x ^= x >> 29
	}
	return (float64(x>>11) + 0.5) / (1 << 53)
}

var errLeft = errors.New("the client has left")

// wait lets time pass, as long as somebody waits for what it is spent on.
func (f *fake) wait(r *http.Request, q *request, d time.Duration) error {
	f.mu.Lock()
	if !f.single {
		d *= time.Duration(f.running)
	}
	f.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	if f.deaf != nil && f.deaf(q) {
		<-timer.C
		return nil
	}
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
		return errLeft
	}
}

// cached is how many tokens of a prompt were read before.
func (f *fake) cached(prompt []token) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, seen := range f.seen {
		same := 0
		for same < len(seen) && same < len(prompt)-1 && seen[same] == prompt[same] {
			same++
		}
		n = max(n, same)
	}
	if f.block > 0 {
		n -= n % f.block
	}
	if f.forgetful || f.wholeOnly && n < len(prompt)-1 {
		return 0
	}
	return n
}

func (f *fake) remember(tokens []token) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, slices.Clone(tokens))
}

// earliest is how stop strings work.
func earliest(text string, stops []string) (end int, which string) {
	end = -1
	for _, s := range stops {
		if i := strings.Index(text, s); i >= 0 && (end < 0 || i < end) {
			end, which = i, s
		}
	}
	return end, which
}

// safe is how much of the text no stop string can take back.
func safe(text string, stops []string) int {
	end := len(text)
	for _, s := range stops {
		for n := min(len(s)-1, len(text)); n > 0; n-- {
			if strings.HasSuffix(text, s[:n]) {
				end = min(end, len(text)-n)
				break
			}
		}
	}
	return end
}

// A played answer.
type played struct {
	text, finish, stop string
	tokens             int
	probs              [][]float64
	words              []string
}

// play generates an answer; emit gets the text that is certain.
func (f *fake) play(r *http.Request, q *request, prompt []token, choice int, emit func(string) error) (played, error) {
	if f.single {
		select {
		case f.turn <- struct{}{}:
			defer func() { <-f.turn }()
		case <-r.Context().Done():
			return played{}, errLeft
		}
	}
	cached := f.cached(prompt)
	if err := f.wait(r, q, time.Duration(len(prompt)-cached)*cmp.Or(f.reading, time.Millisecond)); err != nil {
		return played{}, err
	}
	f.mu.Lock()
	f.draws++
	draw := f.draws * 77
	f.mu.Unlock()
	if q.Seed != nil && !f.seedless {
		draw = uint64(*q.Seed)*31 + uint64(choice)
	}
	said := slices.Clone(prompt)
	h := fnv.New64a() // of all that was said
	hear := func(t token) { fmt.Fprint(h, t.text, t.control, "|") }
	for _, t := range prompt {
		hear(t)
	}
	stop := f.stops
	if stop == nil {
		stop = earliest
	}
	p := played{finish: "length"}
	sent, end := 0, -1
	for p.tokens < max(1, q.MaxTokens) {
		if err := f.wait(r, q, cmp.Or(f.saying, 4*time.Millisecond)); err != nil {
			return p, err
		}
		state := h.Sum64()
		f.mu.Lock()
		if f.crowded && f.running > 1 {
			state++
		}
		f.mu.Unlock()
		if f.cacheTells && cached > len(prompt)/2 {
			state += 2
		}
		if f.brief > 0 && p.tokens == f.brief {
			p.finish = "stop"
			break
		}
		word, probs := f.next(state, q, draw)
		p.tokens, p.words, p.probs = p.tokens+1, append(p.words, word), append(p.probs, probs)
		said = append(said, token{word, false})
		hear(token{word, false})
		p.text += word
		if end, p.stop = stop(p.text, q.Stop); end >= 0 {
			p.text, p.finish = p.text[:end], "stop"
			break
		}
		to := safe(p.text, q.Stop)
		if f.leaks {
			to = len(p.text)
		}
		if emit != nil && to > sent {
			if err := emit(p.text[sent:to]); err != nil && !(f.deaf != nil && f.deaf(q)) {
				return p, err
			}
			sent = to
		}
	}
	if f.swallows && p.finish == "length" {
		p.text = p.text[:safe(p.text, q.Stop)]
	}
	if emit != nil && len(p.text) > sent {
		emit(p.text[sent:])
	}
	f.remember(said)
	f.mu.Lock()
	f.said += p.tokens
	f.mu.Unlock()
	return p, nil
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests++
	if f.turn == nil {
		f.turn = make(chan struct{}, 1) // of the clock under which it is used
	}
	f.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/models":
		fmt.Fprint(w, f.list)
	case "POST /v1/chat/completions", "POST /v1/completions":
		f.complete(w, r)
	case "GET /props", "POST /apply-template", "POST /tokenize", "GET /slots":
		if !f.shows {
			http.NotFound(w, r)
			return
		}
		f.show(w, r)
	default:
		http.NotFound(w, r)
	}
}

// show is llama.cpp's own routes.
func (f *fake) show(w http.ResponseWriter, r *http.Request) {
	var q struct {
		request
		Content string `json:"content"`
		Parse   bool   `json:"parse_special"`
	}
	json.NewDecoder(r.Body).Decode(&q)
	var v any
	switch r.URL.Path {
	case "/props":
		v = map[string]any{"build_info": "b1", "default_generation_settings": map[string]any{"n_ctx": f.context}}
	case "/apply-template":
		v = map[string]any{"prompt": textOf(f.lay(&q.request))}
	case "/slots":
		f.mu.Lock()
		v = []any{map[string]any{"is_processing": f.running > 0}, map[string]any{"is_processing": f.running > 1}}
		f.mu.Unlock()
	case "/tokenize":
		ids := []int{}
		if i := slices.Index(vocabulary, q.Content); i >= 0 {
			ids = append(ids, i)
		} else {
			for range read(q.Content, q.Parse) {
				ids = append(ids, 999)
			}
		}
		v = map[string]any{"tokens": ids}
	}
	json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message}})
}

func (f *fake) complete(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.running++
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running--
		f.mu.Unlock()
	}()
	var q request
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil && !f.believes {
		status := http.StatusBadRequest
		if f.crashes {
			status = http.StatusInternalServerError
		}
		refuse(w, status, "the body is wrong: "+err.Error())
		return
	}
	if q.Unknown != nil && !f.silent {
		w.Header().Set("Parley-Report", "ignored=no_such_field")
	}
	if f.refuse != nil {
		if why := f.refuse(q.Messages); why != "" {
			refuse(w, http.StatusBadRequest, why)
			return
		}
	}
	if f.mostStops > 0 && len(q.Stop) > f.mostStops {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("at most %d stop strings", f.mostStops))
		return
	}
	if f.ignores != nil {
		f.ignores(&q)
	}
	prompt := read(q.Prompt, true)
	if strings.HasPrefix(r.URL.Path, "/v1/chat") {
		prompt = f.lay(&q)
	}
	if len(prompt) >= f.context {
		if !f.cuts {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("%d tokens, and the context holds %d", len(prompt), f.context))
			return
		}
		prompt = prompt[len(prompt)-f.context/2:]
	}
	if f.secret {
		q.LogProbs = false
	}
	model := "fake"
	if f.echoes {
		model = q.Model
	}
	a := &answering{fake: f, w: w, r: r, q: &q, prompt: prompt, cached: f.cached(prompt), model: model}
	if q.Stream {
		a.stream()
	} else {
		a.whole()
	}
}

// An answering is one request that is answered.
type answering struct {
	*fake
	w      http.ResponseWriter
	r      *http.Request
	q      *request
	prompt []token
	cached int
	model  string
	events int
}

func (a *answering) counted(tokens int, stream bool) map[string]any {
	if a.noUsage {
		return nil
	}
	u := map[string]any{
		"prompt_tokens": len(a.prompt), "completion_tokens": tokens, "total_tokens": len(a.prompt) + tokens,
	}
	if !a.secret {
		u["prompt_tokens_details"] = map[string]any{"cached_tokens": a.cached}
	}
	if a.usage != nil {
		a.usage(u, stream)
	}
	return u
}

func (a *answering) before() string {
	if a.q.Continue && a.prefill != nil {
		_, before := a.prefill("")
		return before
	}
	return ""
}

func (a *answering) whole() {
	var choices []any
	tokens := 0
	for i := range max(1, a.q.N) {
		p, err := a.play(a.r, a.q, a.prompt, i, nil)
		if err != nil {
			return
		}
		tokens += p.tokens
		c := map[string]any{"index": i, "finish_reason": p.finish, "stop_reason": a.matched(p)}
		text := a.before() + p.text
		if a.prefill != nil && a.q.Continue {
			text = strings.TrimLeft(text, a.before()+" ")
		}
		if a.q.Prompt != "" {
			c["text"] = text
		} else {
			c["message"] = map[string]any{"role": "assistant", "content": text}
			if a.thinks {
				c["message"] = map[string]any{"role": "assistant", "content": nil, "reasoning_content": text}
			}
		}
		if a.q.LogProbs {
			var all []any
			for k, word := range p.words {
				var top []any
				for _, l := range p.probs[k] {
					top = append(top, map[string]any{"logprob": l})
				}
				all = append(all, map[string]any{"token": word, "logprob": p.probs[k][0], "top_logprobs": top})
			}
			c["logprobs"] = map[string]any{"content": all}
		}
		choices = append(choices, c)
	}
	json.NewEncoder(a.w).Encode(map[string]any{"object": "chat.completion", "model": a.model, "choices": choices, "usage": a.counted(tokens, false)})
}

func (a *answering) matched(p played) any {
	switch {
	case p.finish != "stop":
		return nil
	case a.tellsFirst:
		return a.q.Stop[0]
	}
	return p.stop
}

func (a *answering) stream() {
	a.w.Header().Set("Content-Type", "text/event-stream")
	send := func(delta map[string]any, finish any) error {
		c := map[string]any{"index": 0, "finish_reason": finish}
		if a.q.Prompt != "" {
			c["text"] = delta["content"]
		} else {
			c["delta"] = delta
		}
		return a.send(map[string]any{"model": a.model, "choices": []any{c}})
	}
	send(map[string]any{"role": "assistant", "content": ""}, nil)
	p, err := a.play(a.r, a.q, a.prompt, 0, func(text string) error {
		if a.thinks && a.q.Prompt == "" {
			return send(map[string]any{"reasoning_content": text}, nil)
		}
		return send(map[string]any{"content": text}, nil)
	})
	if err != nil {
		return
	}
	send(map[string]any{}, p.finish)
	if a.q.StreamOptions != nil {
		if u := a.counted(p.tokens, true); u != nil {
			a.send(map[string]any{"model": a.model, "choices": []any{}, "usage": u})
		}
	}
	if !a.noDone {
		a.write("[DONE]")
	}
}

func (a *answering) send(e map[string]any) error {
	if a.event != nil {
		a.event(a.events, e)
	}
	a.events++
	data, _ := json.Marshal(e)
	return a.write(string(data))
}

func (a *answering) write(data string) error {
	text := "data: " + data + "\n\n"
	if a.frame != nil {
		text = a.frame(data)
	}
	if _, err := a.w.Write([]byte(text)); err != nil {
		return err
	}
	return http.NewResponseController(a.w).Flush()
}
