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
	noteStatus(w, http.StatusSwitchingProtocols)
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
			err = s.textgenFrames(ctx, conn, w, r, body, prepare)
		case <-s.closing.Done():
			err = errStopping
		case <-idle.C:
			idle.Stop()
			return conn.Close(websocket.StatusNormalClosure, "no request for a while")
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		idle.Stop()
		if err != nil {
			s.closeSocket(conn, w, err)
			return nil
		}
	}
}

// errCrowded ends a socket whose client does not wait for answers.
var errCrowded = &llm.Error{Code: llm.Overloaded, Message: "too many requests wait on this connection", Hint: "wait for answers, or open more connections"}

// closeSocket ends a connection because of an error.
func (s *Server) closeSocket(conn *websocket.Conn, w http.ResponseWriter, err error) {
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
	note(w, err)
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

// textgenFrames answers one request of a socket.
func (s *Server) textgenFrames(ctx context.Context, conn *websocket.Conn, w http.ResponseWriter, r *http.Request, body []byte, prepare preparing) error {
	leave, err := s.enter(r)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := s.work(r.WithContext(ctx))
	defer cancel()
	send := func(frame []byte) error {
		if frame == nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, seconds(limits.WriteSeconds))
		defer cancel()
		if conn.Write(ctx, websocket.MessageText, frame) != nil {
			return errLeft
		}
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
	a, err := prepare(ctx, w, r, body)
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
