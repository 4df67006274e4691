package chatformat

import "parley/llm"

// A layout is a prompt being put together. Neighbouring text of one origin
// becomes one segment.
type layout struct {
	segments []llm.Segment
}

// format adds text of the format itself.
func (l *layout) format(text string) {
	l.add(llm.Segment{Text: text, Control: true, Trust: llm.TrustFormat})
}

// run adds text of a message.
func (l *layout) run(r run) {
	if r.ours {
		l.format(r.text)
		return
	}
	l.add(llm.Segment{Text: r.text, Media: r.media, Trust: r.trust, Source: r.source})
}

func (l *layout) add(s llm.Segment) {
	if s.Text == "" && s.Media == nil {
		return
	}
	if n := len(l.segments); n > 0 && s.Media == nil {
		last := &l.segments[n-1]
		if last.Media == nil && last.Control == s.Control && last.Trust == s.Trust && last.Source == s.Source {
			last.Text += s.Text
			return
		}
	}
	l.segments = append(l.segments, s)
}
