package main

import (
	"fmt"
	"io"

	"parley/chat"
	"parley/llm"
)

// A printer shows a reply as it comes.
type printer struct {
	out      io.Writer
	style    style
	quiet    bool // the text of the reply alone
	terminal bool // out is one: what the model says must not steer it

	report  llm.Report
	finish  llm.Finish
	waiting bool // a line of progress stands there
	thought bool // the last thing printed was reasoning
	open    bool // the line is not ended
}

const clearLine = "\r\x1b[K"

func (p *printer) print(event chat.Event) {
	switch e := event.(type) {
	case chat.Accepted:
		p.report.Merge(e.Report)
	case chat.Waiting:
		p.progress(e)
	case chat.ReasoningDelta:
		if !p.quiet {
			p.clear()
			p.thought = true
			fmt.Fprint(p.out, p.style.dim(p.shown(e.Text)))
			p.open = true
		}
	case chat.TextDelta:
		p.clear()
		if p.thought {
			p.thought = false
			fmt.Fprint(p.out, "\n\n")
		}
		fmt.Fprint(p.out, p.shown(e.Text))
		if e.Text != "" {
			p.open = e.Text[len(e.Text)-1] != '\n'
		}
	case chat.ToolCallDelta:
		p.clear()
		if e.Name != "" {
			fmt.Fprintf(p.out, "%s ", p.style.cyan(p.shown(e.Name)))
		}
		fmt.Fprint(p.out, p.shown(e.Arguments))
		p.open = true
	case chat.Done:
		p.finish = e.Finish
		p.report.Merge(e.Finish.Report)
	}
}

// shown is text as it may be printed. To a file or a pipe every byte goes as
// it is.
func (p *printer) shown(text string) string {
	if p.terminal {
		return printable(text)
	}
	return text
}

// ending is the note for a reply that did not end of itself, or "".
func (p *printer) ending() string {
	switch p.finish.Reason {
	case llm.ReasonLength:
		return "the answer was cut off at its greatest length"
	case llm.ReasonLoop:
		return "the answer was ended, since it only repeated itself"
	}
	return ""
}

// progress says why there is no output yet.
func (p *printer) progress(w chat.Waiting) {
	if p.quiet || !p.style.on {
		return
	}
	text := fmt.Sprintf("reading the prompt: %d of %d tokens", w.Done, w.Total)
	if w.Queue > 0 {
		text = fmt.Sprintf("waiting: %d before this one", w.Queue)
	}
	fmt.Fprint(p.out, clearLine, p.style.dim(text))
	p.waiting = true
}

func (p *printer) clear() {
	if p.waiting {
		fmt.Fprint(p.out, clearLine)
		p.waiting = false
	}
}

// end ends the line, once.
func (p *printer) end() {
	p.clear()
	if p.open {
		fmt.Fprintln(p.out)
		p.open = false
	}
}
