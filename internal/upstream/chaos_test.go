package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/upstream"
	"parley/internal/upstream/enginetest"
	"parley/llm"
)

// A use is a kind of engine used in one way.
type use struct {
	kind string
	way  upstream.Way
}

func (u use) String() string { return u.kind + " as " + string(u.way) }

// uses are all kinds of engines in all ways in which they can be used.
func uses() (all []use) {
	for _, kind := range enginetest.Kinds() {
		completes, chats := enginetest.Ways(kind)
		if completes {
			all = append(all, use{kind, upstream.AsModel})
		}
		if chats {
			all = append(all, use{kind, upstream.AsChat})
		}
	}
	return all
}

// streams reports whether the engine sends its answer in parts.
func (u use) streams() bool { return u.kind != "koboldai" }

// openAt opens the model of an engine at an address.
func (u use) openAt(t testing.TB, url string, o upstream.Options) *upstream.Opened {
	t.Helper()
	o.URL, o.Kind, o.Way = url, u.kind, u.way
	for try := 1; ; try++ {
		opened, err := u.tryOpen(t, o)
		if err == nil {
			return opened
		}
		if try == 50 || o.First != hasty.First { // who is in haste may be so in vain
			t.Fatal(err)
		}
	}
}

func (u use) tryOpen(t testing.TB, o upstream.Options) (*upstream.Opened, error) {
	e, err := upstream.Dial(context.Background(), o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { e.Close() })
	return e.Open(context.Background(), "")
}

// said is what came of a request.
type said struct {
	text   string
	finish *llm.Finish
	err    error
	report llm.Report
	cached int
}

// ask has a model continue, or a responder answer, some words.
func (u use) ask(ctx context.Context, o *upstream.Opened, words string, p llm.Params) said {
	return u.read(u.stream(ctx, o, words, p))
}

// A part is a piece or an event, whatever way it came.
type part struct {
	text   string
	report llm.Report
	finish *llm.Finish
}

func (u use) stream(ctx context.Context, o *upstream.Opened, words string, p llm.Params) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		if u.way == upstream.AsModel {
			for piece, err := range o.Model.Complete(ctx, llm.Text(words), p) {
				x := part{text: piece.Text, finish: piece.Finish}
				if piece.Accepted != nil {
					x.report = piece.Accepted.Report
				}
				if !yield(x, err) {
					return
				}
			}
			return
		}
		c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, words)}}
		for e, err := range o.Responder.Respond(ctx, c, p) {
			var x part
			switch e := e.(type) {
			case chat.Accepted:
				x.report = e.Report
			case chat.TextDelta:
				x.text = e.Text
			case chat.Done:
				x.finish = &e.Finish
			}
			if !yield(x, err) {
				return
			}
		}
	}
}

func (u use) read(parts iter.Seq2[part, error]) (s said) {
	ended := false
	for x, err := range parts {
		if ended {
			s.err = errors.New("something came after the end of the stream")
			return s
		}
		s.text += x.text
		s.report.Merge(x.report)
		if x.finish != nil {
			s.finish, s.cached = x.finish, x.finish.Usage.CachedTokens
			s.report.Merge(x.finish.Report)
		}
		s.err = err
		ended = err != nil || x.finish != nil
	}
	return s
}

// An outcome is what a fault has to come to: the whole answer, or an error.
type outcome struct {
	whole bool
	codes []llm.Code // of the error
	says  string     // what the error's sentence matches
	again bool       // it may be tried again: the engine has not begun
	parts bool       // only answers in parts can have this fault; one that comes whole is whole
	text  bool       // the answer's text is changed in a way that the test knows
}

var broken = []llm.Code{llm.Broken}

var outcomes = map[string]outcome{
	"never answers":         {codes: []llm.Code{llm.Unavailable}, says: "silent"},
	"silent after headers":  {codes: []llm.Code{llm.Unavailable}, says: "silent"},
	"silent mid-stream":     {codes: []llm.Code{llm.Unavailable}, says: "silent"},
	"stays open at the end": {whole: true, parts: true},

	"closes at once":                     {codes: broken, says: "broke off", again: true},
	"resets at once":                     {codes: broken, says: "broke off", again: true},
	"resets mid-stream":                  {codes: broken, says: "broke off|cannot be read"},
	"ends before the finish":             {codes: broken, says: "broke off|cannot be read"},
	"ends well before the finish":        {codes: broken, says: "broke off|cannot be read"},
	"ends inside of a frame":             {codes: broken, says: "broke off|cannot be read", parts: true},
	"ends as if whole before the finish": {codes: broken, says: "broke off|cannot be read"},
	"ends behind the finish":             {whole: true},
	"closes without saying":              {whole: true},

	"split at every byte":       {whole: true},
	"CRLF":                      {whole: true},
	"CR":                        {whole: true},
	"BOM":                       {whole: true},
	"comments and other fields": {whole: true},
	"data on several lines":     {whole: true},
	"wrong content type":        {whole: true},
	"gzip":                      {whole: true},
	"truncated gzip":            {codes: broken, says: "broke off|cannot be read"},

	"garbage":                   {codes: broken, says: "cannot be read"},
	"garbage for a status":      {codes: broken, says: "."},
	"HTML with 200":             {codes: broken, says: "a web page"},
	"error instead of a stream": {codes: broken, says: "CUDA out of memory"},
	"error mid-stream":          {codes: broken, says: "CUDA out of memory"},
	"error field mid-stream":    {codes: broken, says: "CUDA out of memory", parts: true},
	"20 MiB line":               {codes: broken, says: "limit|cannot be read"},
	"invalid UTF-8":             {text: true},
	"answers for another model": {whole: true},
	"empty":                     {codes: broken, says: "broke off|cannot be read"},
	"strange frames":            {whole: true},
	"numbers for text":          {codes: broken, says: "broke off|cannot be read"},

	"100 KB of headers": {codes: []llm.Code{llm.Broken, llm.Unavailable}, says: "."},
	"hostile headers":   {whole: true},
	"redirect":          {codes: broken, says: "sends on to"},

	"400": {codes: []llm.Code{llm.Invalid}, says: "refused"},
	"401": {codes: broken, says: "key"},
	"403": {codes: broken, says: "key"},
	"404": {codes: []llm.Code{llm.Broken, llm.NotFound}, says: "refused"},
	"413": {codes: []llm.Code{llm.Invalid, llm.TooLong}, says: "refused"},
	"422": {codes: []llm.Code{llm.Invalid}, says: "refused"},
	"429": {codes: []llm.Code{llm.Overloaded}, says: "refused"}, "429 without a time": {codes: []llm.Code{llm.Overloaded}, says: "refused"},
	"500": {codes: broken, says: "refused"}, "502 of a proxy": {codes: []llm.Code{llm.Unavailable}, says: "502"},
	"503 loading": {codes: []llm.Code{llm.Unavailable}, says: "Loading model"}, "503 with Retry-After": {codes: []llm.Code{llm.Unavailable}, says: "refused"},
	"504 of a proxy": {codes: []llm.Code{llm.Unavailable}, says: "504"},
}

// tried are those that are asked again and again: it takes its time, and is the
// same for all.
var tried = []use{{"llamacpp", upstream.AsModel}, {"ollama", upstream.AsChat}, {"koboldai", upstream.AsModel}}

const key = "sk-the-key-of-the-test"

// Of an engine that is silent it is found out at once by those who are hasty,
// and all else is asked by those who are patient: machines may be slow.
var (
	hasty   = upstream.Options{Key: key, First: 100 * time.Millisecond, Silence: 100 * time.Millisecond}
	patient = upstream.Options{Key: key, First: time.Minute, Silence: time.Minute}
)

func TestEveryFaultComesToAWholeAnswerOrToOneError(t *testing.T) {
	for _, fault := range enginetest.Faults() {
		if _, known := outcomes[fault]; !known && fault != "flood" {
			t.Errorf("what %q comes to is not in the table", fault)
		}
	}
	for _, u := range uses() {
		t.Run(u.String(), func(t *testing.T) {
			t.Parallel()
			fake := enginetest.Start(t, u.kind, enginetest.Options{})
			usual, silent := enginetest.StartChaos(t, fake.URL), enginetest.StartChaos(t, fake.URL)
			opened, inHaste := u.openAt(t, usual.URL, patient), u.openAt(t, silent.URL, hasty)
			p := llm.Params{MaxTokens: new(100), Seed: new(int64(1))}
			honest := u.ask(t.Context(), opened, "Hello", p)
			if honest.err != nil || !strings.HasSuffix(honest.text, "always the same.") {
				t.Fatalf("without a fault: %q, %v", honest.text, honest.err)
			}
			for fault, want := range outcomes {
				mute := u == use{"simpleai", upstream.AsModel} // never says why an answer ended
				if mute && (fault == "ends as if whole before the finish" || fault == "ends behind the finish") {
					continue // these cannot be told apart
				}
				if !u.streams() && want.parts || want.again && !slices.Contains(tried, u) {
					continue
				}
				asked, chaos := opened, usual
				if want.says == "silent" {
					asked, chaos = inHaste, silent
				}
				chaos.Spoil(fault)
				got := u.ask(t.Context(), asked, "Hello", p)
				want.check(t, fault, honest, got)
				if hits, most := chaos.Hits(), 1; want.again {
					// net/http sends once more, each time, where a connection that it kept is
					// closed.
					if most += limits.UpstreamRetries.Int(); hits < most || hits > 2*most {
						t.Errorf("%s: asked %d times, want %d", fault, hits, most)
					}
				} else if (hits > most || hits < most && want.says != "silent") && !(u.way == upstream.AsChat && fault == "500") {
					t.Errorf("%s: asked %d times, want once", fault, hits)
				}
				await(t, fault+": a connection is still open", func() bool { return chaos.Held() == 0 })
			}
			usual.Spoil("")
			if again := u.ask(t.Context(), opened, "Hello", p); again.err != nil || again.text != honest.text {
				t.Errorf("afterwards: %q, %v", again.text, again.err)
			}
		})
	}
}

func (want outcome) check(t *testing.T, fault string, honest, got said) {
	t.Helper()
	switch {
	case want.text:
		if got.err == nil && got.text != strings.Replace(honest.text, "always", "al\ufffdways", 1) {
			t.Errorf("%s: %q", fault, got.text)
		}
	case want.whole:
		if got.err != nil || got.text != honest.text || got.finish == nil {
			t.Errorf("%s: %q, %v", fault, got.text, got.err)
		}
		return
	case got.err == nil:
		t.Errorf("%s: the answer %q counts as whole", fault, got.text)
		return
	}
	if got.err == nil {
		return
	}
	e := llm.AsError(got.err)
	if !want.text && (!slices.Contains(want.codes, e.Code) || !regexp.MustCompile(want.says).MatchString(e.Message)) {
		t.Errorf("%s: %s %q, want %v that says %q", fault, e.Code, e.Message, want.codes, want.says)
	}
	if !strings.HasPrefix(honest.text, got.text) {
		t.Errorf("%s: the text %q is no beginning of %q", fault, got.text, honest.text)
	}
	if all := got.err.Error(); strings.Contains(all, key) {
		t.Errorf("%s: the error repeats the key: %s", fault, all)
	}
}

// await waits until something holds, for a few seconds at most.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Error(what)
			return
		}
	}
}

func TestTheTimeToWaitIsPassedOn(t *testing.T) {
	for fault, code := range map[string]llm.Code{"429": llm.Overloaded, "503 with Retry-After": llm.Unavailable} {
		for _, u := range []use{{"llamacpp", upstream.AsModel}, {"openai", upstream.AsChat}} {
			chaos := enginetest.StartChaos(t, enginetest.Start(t, u.kind, enginetest.Options{}).URL)
			opened := u.openAt(t, chaos.URL, patient)
			chaos.Spoil(fault)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := u.ask(ctx, opened, "Hello", llm.Params{MaxTokens: new(10)}).err
			busy, ok := errors.AsType[*llm.BusyError](err)
			if !ok || busy.RetryAfter != enginetest.RetryAfter*time.Second || llm.AsError(err).Code != code {
				t.Errorf("%s, %s: %v (%+v)", u, fault, err, busy)
			}
		}
	}
}

func TestWhatHasNotBegunIsTriedAgain(t *testing.T) {
	for _, u := range uses() {
		fake := enginetest.Start(t, u.kind, enginetest.Options{})
		chaos := enginetest.StartChaos(t, fake.URL)
		opened := u.openAt(t, chaos.URL, patient)
		for _, fault := range []string{"closes at once", "closes without saying"} {
			chaos.SpoilTimes(fault, 1)
			for range 2 {
				if got := u.ask(t.Context(), opened, "Hello", llm.Params{MaxTokens: new(100)}); got.err != nil || !strings.HasSuffix(got.text, "the same.") {
					t.Errorf("%s, %s: %q, %v", u, fault, got.text, got.err)
				}
			}
		}
	}
}

func TestAFloodWaitsForItsReader(t *testing.T) {
	for _, u := range []use{{"llamacpp", upstream.AsModel}, {"ollama", upstream.AsModel}, {"vllm", upstream.AsChat}} {
		chaos := enginetest.StartChaos(t, enginetest.Start(t, u.kind, enginetest.Options{}).URL)
		opened := u.openAt(t, chaos.URL, upstream.Options{})
		chaos.Spoil("flood")
		parts := 0
		for x, err := range u.stream(t.Context(), opened, "Hello", llm.Params{LoopGuard: new(0)}) {
			if err != nil {
				t.Fatal(err)
			}
			if x.text == "" {
				continue
			}
			if parts++; parts < 100 {
				continue
			}
			// Nobody reads now: what the engine can send must come to an end.
			last, since := chaos.Sent(), time.Now()
			for time.Since(since) < 300*time.Millisecond {
				if n := chaos.Sent(); n != last {
					last, since = n, time.Now()
				}
				runtime.Gosched()
			}
			if last > 32<<20 {
				t.Errorf("%s: %d MiB were taken that nobody has read", u, last>>20)
			}
			break
		}
		await(t, u.String()+": the engine goes on sending", func() bool { return chaos.Held() == 0 })
	}
}

func TestHostileHeadersAndAnswersStayOutside(t *testing.T) {
	for _, u := range uses() {
		chaos := enginetest.StartChaos(t, enginetest.Start(t, u.kind, enginetest.Options{}).URL)
		opened := u.openAt(t, chaos.URL, patient)
		for _, fault := range []string{"hostile headers", "answers for another model", "400", "500"} {
			chaos.Spoil(fault)
			got := u.ask(t.Context(), opened, "Hello", llm.Params{MaxTokens: new(100)})
			if all := got.text + got.report.Header(); strings.Contains(all, enginetest.Secret) || strings.Contains(all, "forged") {
				t.Errorf("%s, %s: %s", u, fault, all)
			}
		}
	}
}

func TestARedirectTakesNothingAlong(t *testing.T) {
	taken := 0
	thief := enginetest.Start(t, "openai", enginetest.Options{})
	fake := enginetest.Start(t, "openai", enginetest.Options{})
	chaos := enginetest.StartChaos(t, fake.URL)
	u := use{"openai", upstream.AsChat}
	opened := u.openAt(t, chaos.URL, patient)
	chaos.Spoil("redirect")
	if err := u.ask(t.Context(), opened, "Hello", llm.Params{}).err; err == nil || !strings.Contains(err.Error(), "sends on to") {
		t.Errorf("%v", err)
	}
	if taken += len(thief.Requests()); taken > 0 {
		t.Errorf("%d requests followed the redirect", taken)
	}
}

// TestHelperEngine is no test: it is a fake engine in a process of its own,
// which another test kills.
func TestHelperEngine(t *testing.T) {
	if os.Getenv("PARLEY_TEST_ENGINE") == "" {
		return
	}
	gate := make(chan struct{}, 3)
	for range 3 {
		gate <- struct{}{}
	}
	model := llm.Script("one ", "two ", "three ", "four ")
	model.Gate = gate
	os.Stdout.WriteString("url " + enginetest.Start(t, "llamacpp", enginetest.Options{Model: model}).URL + "\n")
	io.Copy(io.Discard, os.Stdin) // until it is killed, or the one that would kill it ends
}

func TestAnEngineThatIsKilledBreaksOff(t *testing.T) {
	for _, u := range []use{{"llamacpp", upstream.AsModel}, {"llamacpp", upstream.AsChat}} {
		child := exec.Command(os.Args[0], "-test.run=^TestHelperEngine$")
		child.Env = append(os.Environ(), "PARLEY_TEST_ENGINE=1")
		if _, err := child.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var line []byte
		for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); {
			if _, err := out.Read(b); err != nil {
				t.Fatal(err)
			}
			line = append(line, b...)
		}
		opened := u.openAt(t, strings.TrimPrefix(strings.TrimSpace(string(line)), "url "), upstream.Options{})
		var last error
		text := ""
		for x, err := range u.stream(t.Context(), opened, "Hello", llm.Params{MaxTokens: new(50)}) {
			if text += x.text; text == "one two three " {
				child.Process.Kill()
			}
			last = err
		}
		child.Wait()
		if e := llm.AsError(last); last == nil || e.Code != llm.Broken || !strings.Contains(e.Message, "broke off") || text != "one two three " {
			t.Errorf("%s: %q, %v", u, text, last)
		}
		if e := llm.AsError(u.ask(t.Context(), opened, "Hello", llm.Params{}).err); e.Code != llm.Unavailable || !strings.Contains(e.Message, "nothing listens") {
			t.Errorf("%s, afterwards: %v", u, e)
		}
	}
}

// TestMain fails if a goroutine of the package is left when all tests have
// ended.
func TestMain(m *testing.M) {
	code := m.Run()
	ours := regexp.MustCompile(`parley/internal/upstream\.\(`)
	var left bytes.Buffer
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		left.Reset()
		pprof.Lookup("goroutine").WriteTo(&left, 2)
		if !ours.Match(left.Bytes()) {
			os.Exit(code)
		}
	}
	os.Stderr.WriteString("goroutines are left:\n" + left.String())
	os.Exit(1)
}
