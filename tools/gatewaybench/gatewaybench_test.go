package main

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/tools/load"
)

func TestLoadCountsWholeAnswersStreamsAndTheirEvents(t *testing.T) {
	engine := httptest.NewServer(stub(false))
	defer engine.Close()
	addr := engine.Listener.Addr().String()
	whole, err := load.Drive(addr, load.Request("m", false), 2, 20*time.Millisecond)
	if err != nil || len(whole.Took) == 0 || len(whole.Late) != 0 {
		t.Errorf("whole answers: %d with %d events, %v", len(whole.Took), len(whole.Late), err)
	}
	streams, err := load.Drive(addr, load.Request("m", true), 2, 20*time.Millisecond)
	if err != nil || len(streams.Took) == 0 || len(streams.Late) != streamEvents*len(streams.Took) {
		t.Errorf("streams: %d with %d events, %v", len(streams.Took), len(streams.Late), err)
	}
	if !slices.IsSorted(streams.Late) || streams.Late[0] < 0 {
		t.Error("the times are not sorted, or an event was read before it was written")
	}
}

func TestLoadSaysWhatAServerRefused(t *testing.T) {
	engine := httptest.NewServer(stub(false))
	defer engine.Close()
	wrong := []byte("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := load.Drive(engine.Listener.Addr().String(), wrong, 1, time.Second); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}

func TestHeldStreamsAreOpenAtTheSameTime(t *testing.T) {
	engine := httptest.NewServer(stub(true))
	defer engine.Close()
	open := 0
	h, err := load.Hold(engine.Listener.Addr().String(), load.Request("m", true), 20, 3*pace, func() { open++ }, func() { open++ })
	if err != nil || h.Streams != 20 || open != 2 || len(h.Gap) < 20 || len(h.Gap) != len(h.Late) {
		t.Errorf("%d streams with %d gaps, %v", h.Streams, len(h.Gap), err)
	}
}
