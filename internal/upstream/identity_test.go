package upstream

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"parley/internal/upstream/enginetest"
	"parley/llm"
)

func TestAnotherModelBehindTheSameAddressIsNoticed(t *testing.T) {
	for _, kind := range []string{"llamacpp", "koboldcpp", "textgen"} {
		t.Run(kind, func(t *testing.T) {
			one := enginetest.Start(t, kind, enginetest.Options{Name: "one", Template: "{{ messages[0].content }}"})
			other := enginetest.Start(t, kind, enginetest.Options{Name: "other", Template: "other {{ messages[0].content }}"})
			var now atomic.Pointer[url.URL]
			become := func(e *enginetest.Engine) {
				u, _ := url.Parse(e.URL)
				now.Store(u)
			}
			become(one)
			address := httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(now.Load()) }})
			defer address.Close()
			e, err := Dial(t.Context(), Options{URL: address.URL, Way: AsModel})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			opened, err := e.Open(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			var m *model
			switch opened := opened.Model.(type) {
			case *model:
				m = opened
			case readingModel:
				m = opened.model
			case vectorModel:
				m = opened.model
			case readingVectorModel:
				m = opened.model
			}
			say := func() error {
				for _, err := range m.Complete(t.Context(), llm.Text("Hi"), llm.Params{}) {
					if err != nil {
						return err
					}
				}
				return nil
			}
			m.who.after = 0 // as if a while had passed
			if err := say(); err != nil {
				t.Fatal(err)
			}
			become(other)
			for range 2 {
				if err := say(); llm.AsError(err).Code != llm.Unavailable {
					t.Errorf("got %v", err)
				}
			}
			select {
			case <-e.Gone():
			default:
				t.Error("the engine is not said to be gone")
			}
			if n := len(other.Begun()); n != 0 {
				t.Errorf("the other model was asked %d times", n)
			}
		})
	}
}
