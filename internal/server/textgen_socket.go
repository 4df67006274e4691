package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/openai"
	"parley/llm"
)

func (s *Server) textgenStream(w http.ResponseWriter, r *http.Request) error {
	return s.textgenSocket(w, r, s.textgenPrompt)
}

func (s *Server) textgenChatStream(w http.ResponseWriter, r *http.Request) error {
	return s.textgenSocket(w, r, s.textgenTalk)
}

// A preparing prepares the answer to a request of this dialect.
type preparing func(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) (textgenAnswer, error)

// textgenSocket answers the requests that come over a WebSocket, one after the
// other. An error ends it, with a frame that says what is wrong.
func (s *Server) textgenSocket(w http.ResponseWriter, r *http.Request, prepare preparing) error {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		return &refusal{Status: http.StatusUpgradeRequired, Type: "invalid_request_error", Code: "upgrade_required",
			Message: printable(r.URL.Path) + " is answered over a WebSocket (open ws://" + printable(r.Host) + printable(r.URL.Path) + ")"}
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // where it comes from has been looked at already
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil // the client has been told
	}
	defer conn.CloseNow()
	conn.SetReadLimit(limits.BodyBytes.Int64())

	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	bodies := make(chan []byte, limits.SocketRequests.Int())
	go func() { // the connection's state is seen by reading only
		for {
			_, body, err := conn.Read(ctx)
			if err != nil {
				cancel(errLeft)
				return
			}
			select {
			case bodies <- body:
			default:
				cancel(errCrowded)
				return
			}
		}
	}()
	for {
		idle := time.NewTimer(seconds(limits.IdleSeconds))
		var err error
		select {
		case body := <-bodies:
			err = s.recorded(w, r.WithContext(ctx), body, func(rec *recorder, r *http.Request) error {
				return s.textgenFrames(conn, rec, r, body, prepare)
			})
		case <-s.closing.Done():
			err = errStopping
		case <-idle.C:
			idle.Stop()
			return conn.Close(websocket.StatusNormalClosure, "no request for a while")
		case <-ctx.Done():
			if err = context.Cause(ctx); !errors.Is(err, errLeft) {
				note(w, err)
			}
		}
		idle.Stop()
		if err != nil {
			closeSocket(conn, err)
			return nil
		}
	}
}

// errCrowded ends a socket whose client does not wait for answers.
var errCrowded = &llm.Error{Code: llm.Overloaded, Message: "too many requests wait on this connection", Hint: "wait for answers, or open more connections"}

// closeSocket ends a connection because of an error.
func closeSocket(conn *websocket.Conn, err error) {
	if errors.Is(err, errLeft) {
		return
	}
	status := websocket.StatusPolicyViolation
	switch llm.AsError(err).Code {
	case llm.Broken:
		status = websocket.StatusInternalError
	case llm.Unavailable, llm.Overloaded:
		status = websocket.StatusTryAgainLater
	}
	if errors.Is(err, errStopping) {
		status = websocket.StatusGoingAway
	}
	conn.Close(status, clipped(openai.Explain(err).Message))
}

// clipped is text that fits the frame with which a WebSocket is closed.
func clipped(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	for s = s[:most]; len(s) > 0 && s[len(s)-1]&0xc0 == 0x80; {
		s = s[:len(s)-1]
	}
	return s[:len(s)-1]
}

// recorded keeps account of one request of a socket, as of one that came by
// itself.
func (s *Server) recorded(w http.ResponseWriter, r *http.Request, body []byte, answer func(*recorder, *http.Request) error) error {
	rec := &recorder{ResponseWriter: w, server: s, made: s.newID(), began: s.now(), status: http.StatusOK}
	rec.id = rec.made
	if conn := recorderOf(r.Context()); conn != nil {
		rec.route, rec.client, rec.key = conn.route, conn.client, conn.key
	}
	r, leave, err := s.admit(r, rec)
	if err != nil {
		return err
	}
	defer leave()
	noteBody(rec, body)
	s.metrics.running.Inc()
	err = answer(rec, r.WithContext(context.WithValue(r.Context(), recorderKey{}, rec)))
	switch {
	case errors.Is(err, errLeft):
		noteLeft(rec, err)
	case err != nil:
		note(rec, err)
		rec.status = openai.Explain(err).Status
	}
	took := s.now().Sub(rec.began)
	s.logRequest(rec, r, took)
	s.metrics.running.Dec()
	s.metrics.count(rec, took)
	return err
}

// textgenFrames answers one request of a socket.
func (s *Server) textgenFrames(conn *websocket.Conn, rec *recorder, r *http.Request, body []byte, prepare preparing) error {
	ctx, cancel := s.work(r)
	defer cancel()
	send := func(frame []byte) error {
		if frame == nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, seconds(limits.WriteSeconds))
		defer cancel()
		switch err := conn.Write(ctx, websocket.MessageText, frame); {
		case errors.Is(err, context.DeadlineExceeded):
			return errSlow
		case err != nil:
			return errLeft
		}
		rec.written += int64(len(frame))
		return nil
	}
	fail := func(a textgenAnswer, err error) error {
		p := openai.Explain(err)
		if errors.Is(err, errLeft) {
			return err
		}
		// The request's own time may be what is over: the frame has a new one.
		until, cancel := context.WithTimeout(context.WithoutCancel(ctx), seconds(limits.WriteSeconds))
		defer cancel()
		conn.Write(until, websocket.MessageText, a.parts.Fail(p.Message, p.Type, p.Code))
		return err
	}
	a, err := prepare(ctx, rec, r, body)
	if err != nil {
		return fail(a, err)
	}
	defer a.release()
	if a.ask == nil {
		if err := send(a.parts.Unchanged()); err != nil {
			return err
		}
		return send(a.parts.End(a.report))
	}
	playing, done := context.WithCancel(ctx)
	steps, wait := play(playing, 1, a.ask)
	defer wait()
	defer done()
	for {
		select {
		case <-ctx.Done():
			return fail(a, context.Cause(ctx))
		case st := <-steps:
			if st.err != nil {
				return fail(a, st.err)
			}
			if err := send(a.parts.Event(0, st.event)); err != nil {
				return err
			}
			if _, last := st.event.(chat.Done); last {
				return send(a.parts.End(a.report))
			}
		}
	}
}
