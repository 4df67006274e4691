package chatformat

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"parley/internal/limits"
	"parley/llm"
)

// Markup is a format that is described by what stands before and behind each
// message. docs/formats.md describes its TOML file.
type Markup struct {
	name string
	file markupFile

	generation string
	stop       []string
	marks      llm.Marks // delimiters that look like tokens
	lead       string    // what a reply begins with that history writes as part of the prefix
	abilities  Abilities
	calls      callForm // how its models call tools
	channels   bool     // replies come in several channels, each ended like a message
}

// markupFile is a format's TOML file.
type markupFile struct {
	Name       string     `toml:"name"`
	Aliases    []string   `toml:"aliases"`
	About      string     `toml:"about"`
	Start      string     `toml:"start"`
	Generation *string    `toml:"generation"`
	Between    string     `toml:"between"`
	Stop       *[]string  `toml:"stop"`
	BOS        string     `toml:"bos"`
	Trim       string     `toml:"trim"`
	Alternate  bool       `toml:"alternate"`
	Words      bool       `toml:"words"`
	Marks      []string   `toml:"marks"`
	System     *systemTag `toml:"system"`
	User       *roleTag   `toml:"user"`
	Assistant  *roleTag   `toml:"assistant"`
	Tool       *roleTag   `toml:"tool"`
	Reasoning  *thinkTag  `toml:"reasoning"`
	Tools      *toolsTag  `toml:"tools"`
}

type roleTag struct {
	Prefix string `toml:"prefix"`
	Suffix string `toml:"suffix"`
}

type systemTag struct {
	Prefix  string `toml:"prefix"`
	Suffix  string `toml:"suffix"`
	Place   string `toml:"place"`
	Default string `toml:"default"`
}

type thinkTag struct {
	Open  string `toml:"open"`
	Close string `toml:"close"`
}

// Where system messages may stand (system.place).
const (
	placeAnywhere = "anywhere" // each in a block of its own, wherever it is
	placeFirst    = "first"    // in one block, before all others
	placeUser     = "user"     // in one block, inside of the first user message
)

// Which messages lose white space at their ends (trim).
const (
	trimNone      = "none"
	trimAll       = "all"
	trimAssistant = "assistant"
)

// ParseMarkup reads a format from TOML. The name is used where the file gives
// none, and in errors.
func ParseMarkup(name string, data []byte) (*Markup, error) {
	if err := limits.FormatFileBytes.CheckInt(len(data)); err != nil {
		return nil, fmt.Errorf("chat format %s: %w", name, err)
	}
	var f markupFile
	d := toml.NewDecoder(strings.NewReader(string(data))).DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("chat format %s: %w", name, readable(err))
	}
	if f.Name == "" {
		f.Name = name
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("chat format %s: %w", name, err)
	}
	m := newMarkup(f)
	if f.Tools != nil {
		form, ok := f.Tools.form()
		if !ok {
			return nil, fmt.Errorf("chat format %s: tools.call: calls that are written so cannot be read again; docs/tool-calls.md shows what can", name)
		}
		m.calls = form
	}
	return m, nil
}

// readable gives a TOML error its line.
func readable(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		e := unknown.Errors[0]
		line, _ := e.Position()
		return fmt.Errorf("line %d: %q is no key of a chat format", line, strings.Join(e.Key(), "."))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, column := bad.Position()
		return fmt.Errorf("line %d, column %d: %s", line, column, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	return err
}

func (f *markupFile) check() error {
	if f.User == nil || f.Assistant == nil {
		return errors.New("a format needs the tables [user] and [assistant], each with prefix and suffix")
	}
	if f.System == nil {
		f.System = &systemTag{Suffix: separator, Place: placeUser}
	}
	if f.System.Place == "" {
		f.System.Place = placeAnywhere
		if f.System.Prefix == "" && f.System.Suffix == "" {
			f.System.Place = placeFirst // in the middle nothing would tell it from its neighbours
		}
	}
	if f.Trim == "" {
		f.Trim = trimNone
	}
	if !slices.Contains([]string{placeAnywhere, placeFirst, placeUser}, f.System.Place) {
		return fmt.Errorf("system.place is %q, but must be anywhere, first or user", f.System.Place)
	}
	if !slices.Contains([]string{trimNone, trimAll, trimAssistant}, f.Trim) {
		return fmt.Errorf("trim is %q, but must be none, all or assistant", f.Trim)
	}
	if f.Tools != nil {
		if err := f.Tools.check(); err != nil {
			return err
		}
	}
	if f.Reasoning != nil && (f.Reasoning.Open == "" || f.Reasoning.Close == "") {
		return errors.New("[reasoning] needs open and close")
	}
	for _, s := range f.texts() {
		if err := limits.FormatTextBytes.CheckInt(len(s)); err != nil {
			return err
		}
	}
	if f.Stop != nil {
		if err := limits.Stops.CheckInt(len(*f.Stop)); err != nil {
			return fmt.Errorf("stop: %w", err)
		}
		if i := slices.Index(*f.Stop, ""); i >= 0 {
			return fmt.Errorf("stop[%d] is empty", i)
		}
	}
	return nil
}

// delimiters are the texts that stand around messages.
func (f *markupFile) delimiters() []string {
	return []string{f.System.Prefix, f.System.Suffix, f.User.Prefix, f.User.Suffix, f.Assistant.Prefix, f.Assistant.Suffix}
}

// texts are all texts that the format writes or looks for.
func (f *markupFile) texts() []string {
	list := append(f.delimiters(), f.Start, f.Between, f.System.Default)
	if f.Generation != nil {
		list = append(list, *f.Generation)
	}
	if f.Stop != nil {
		list = append(list, *f.Stop...)
	}
	if f.Tool != nil {
		list = append(list, f.Tool.Prefix, f.Tool.Suffix)
	}
	if f.Reasoning != nil {
		list = append(list, f.Reasoning.Open, f.Reasoning.Close)
	}
	if f.Tools != nil {
		list = append(list, f.Tools.List, f.Tools.Call, f.Tools.Calls, f.Tools.Between)
	}
	return append(list, f.Marks...)
}

func newMarkup(f markupFile) *Markup {
	m := &Markup{name: f.Name, file: f}
	m.generation = strings.TrimRight(f.Assistant.Prefix, " ")
	if f.Generation != nil {
		m.generation = *f.Generation
	}
	if f.Stop != nil {
		m.stop = *f.Stop
	} else {
		for _, s := range []string{f.Assistant.Suffix, f.User.Prefix} {
			if s != "" && !slices.Contains(m.stop, s) {
				m.stop = append(m.stop, s)
			}
		}
	}
	if lead, ok := strings.CutPrefix(f.Assistant.Prefix, m.generation); ok {
		m.lead = lead
	}
	m.marks = f.allMarks()
	if m.channels = strings.Contains(f.Assistant.Prefix, channelMark); m.channels {
		m.marks.Output = channelMarks
	}
	m.abilities = Abilities{
		SystemRun:      f.System.Place == placeAnywhere,
		SystemLater:    f.System.Place == placeAnywhere,
		SystemSlot:     true,
		SameRole:       !f.Alternate,
		AssistantFirst: !f.Alternate,
		NoUser:         !f.Alternate,
		Tools:          f.Tool != nil,
		Calls:          f.Tools != nil,
		Names:          strings.Contains(f.User.Prefix, userPlaceholder),
	}
	return m
}

// tokenLike finds what vocabularies have as single tokens: <|im_start|>, </s>,
// [INST], ◁think▷, and MiniMax's ]~b]. To call more strings marks than a vocabulary knows does no harm.
var tokenLike = regexp.MustCompile(`<<[^<>\s]{1,64}>>|<[^<>\s]{1,64}>|\[[^\[\]\s]{1,64}\]|◁[^◁▷\s]{1,64}▷|\]~!?b[\[\]]|\[e~\[`)

// allMarks are those that the file lists, those that its texts hold, and those
// of replies. What stands around a message is a turn mark, even if other
// formats use it in replies.
func (f *markupFile) allMarks() llm.Marks {
	m := llm.Marks{Turn: slices.Clone(f.Marks)}
	if t := f.Reasoning; t != nil {
		m.Reply = append(m.Reply, t.Open, t.Close)
	}
	if t := f.Tools; t != nil {
		m.Reply = append(m.Reply, tokenLike.FindAllString(t.Calls+t.Call, -1)...)
	}
	for _, s := range f.texts() {
		for _, mark := range tokenLike.FindAllString(s, -1) {
			if !slices.Contains(m.Reply, mark) && !slices.Contains(m.Turn, mark) {
				m.Turn = append(m.Turn, mark)
			}
		}
	}
	if f.BOS != "" && !slices.Contains(m.Turn, f.BOS) {
		m.Turn = append(m.Turn, f.BOS)
	}
	for _, mark := range replyMarks {
		if !slices.Contains(m.Reply, mark) && !slices.Contains(m.Turn, mark) {
			m.Reply = append(m.Reply, mark)
		}
	}
	return m
}

// Name is the format's name.
func (m *Markup) Name() string { return m.name }

// About is a line about the format, for lists.
func (m *Markup) About() string { return m.file.About }

// Words reports whether the format marks turns with plain words, which a
// client's text can imitate: its file says so, or no user prefix holds
// anything like a token.
func (m *Markup) Words() bool {
	prefix := m.file.User.Prefix
	return m.file.Words || strings.TrimSpace(prefix) != "" && !tokenLike.MatchString(prefix)
}
