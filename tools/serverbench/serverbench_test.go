package main

import (
	"net/http/httptest"
	"testing"
	"time"

	"parley/internal/server"
	"parley/tools/load"
)

func TestTheScriptAnswers(t *testing.T) {
	srv := httptest.NewServer(server.New(models{}, server.Options{}).Handler(server.Own))
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	streams, err := load.Drive(addr, load.Request("fast", true), 2, 20*time.Millisecond)
	if err != nil || len(streams.Took) == 0 || len(streams.Late) != events*len(streams.Took) {
		t.Errorf("streams: %d with %d events, %v", len(streams.Took), len(streams.Late), err)
	}
	whole, err := load.Drive(addr, load.Request("fast", false), 2, 20*time.Millisecond)
	if err != nil || len(whole.Took) == 0 {
		t.Errorf("whole answers: %d, %v", len(whole.Took), err)
	}
	stop, err := load.Ignore(addr, load.Request("endless", true), 3)
	if err != nil {
		t.Fatal(err)
	}
	held, err := load.Hold(addr, load.Request("slow", true), 10, 3*pace, func() {}, func() {})
	if err != nil || len(held.Gap) < 10 {
		t.Errorf("%d gaps, %v", len(held.Gap), err)
	}
	if closed := stop(); closed != 0 {
		t.Errorf("%d clients that read nothing were closed at once", closed)
	}
}
