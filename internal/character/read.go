package character

import (
	"bytes"
	"encoding/json"
	"errors"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/limits"
	"parley/llm"
)

var notACharacter = llm.Error{Code: llm.Unreadable, Field: "character", Message: "the file holds no character",
	Hint: "it must be a card (V1, V2 or V3, as JSON, PNG or CHARX), a character of text-generation-webui (YAML or JSON), or TOML"}

// refuse is an error with what a reader of files says to it.
func refuse(refused llm.Error, cause error) error {
	if e, ok := errors.AsType[*llm.Error](cause); ok {
		return e
	}
	if cause != nil {
		refused.Message += ": " + strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, short(cause.Error(), 4*limits.QuotedBytes.Int()))
	}
	return &refused
}

// ReadCard reads a character's file of any kind. What it is, its content says;
// only TOML and YAML are told apart by the ending of its name, if both could
// be. Fields that are missing are empty, and what is wrong is put right as far
// as its meaning is plain. The error is an *llm.Error.
func ReadCard(name string, data []byte) (Card, ImportReport, error) {
	var report ImportReport
	if err := limits.CardFileBytes.CheckInt(len(data)); err != nil {
		return Card{}, report, llm.Errorf(llm.Unreadable, "character", "the file: %v", err)
	}
	var c Card
	var err error
	switch kindOf(data) {
	case "png":
		c, err = readPNG(data, &report)
	case "zip":
		c, err = readCharX(data, &report)
	case "webp":
		c, err = readWebP(data, &report)
	case "picture":
		return Card{}, report, &llm.Error{Code: llm.Unreadable, Field: "character", Message: "the picture holds no character", Hint: pictureHint}
	default:
		c, err = readText(name, data, &report)
	}
	if err != nil {
		return Card{}, report, err
	}
	return c, report, c.check(&report)
}

const pictureHint = "a card is a PNG; a picture that was converted, or sent through a service that strips what it does not know, has lost it"

// kindOf tells files apart by how they begin.
func kindOf(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte(pngSignature)):
		return "png"
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return "zip"
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		if bytes.Contains(data, []byte("PK\x05\x06")) { // RisuAI appends an archive to a JPEG
			return "zip"
		}
		return "picture"
	case bytes.HasPrefix(data, []byte("RIFF")) && len(data) > 12 && string(data[8:12]) == "WEBP":
		return "webp"
	case bytes.HasPrefix(data, []byte("GIF8")):
		return "picture"
	}
	return "text"
}

// Ending is what the name of a file ends with that holds such data: ".png", ".charx", ".webp",
// ".json", or ".yaml", which is what other text is.
func Ending(data []byte) string {
	switch kindOf(data) {
	case "png":
		return ".png"
	case "zip":
		return ".charx"
	case "webp":
		return ".webp"
	}
	if startsObject(data) {
		return ".json"
	}
	return ".yaml"
}

func startsObject(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff"))), []byte("{"))
}

func readText(name string, data []byte, report *ImportReport) (Card, error) {
	plain := bytes.TrimPrefix(data, []byte("\ufeff"))
	if startsObject(plain) {
		c, err := readJSON(data, report)
		report.Format += " as JSON"
		return c, err
	}
	if err := limits.CharacterBytes.CheckInt(len(data)); err != nil {
		return Card{}, llm.Errorf(llm.Unreadable, "character", "the character's file is too large: %v", err)
	}
	plain = bytes.ToValidUTF8(plain, []byte("\ufffd"))
	kinds := []struct {
		name  string
		parse func([]byte, *map[string]any) error
	}{{"YAML", readYAML}, {"TOML", readTOML}}
	if strings.EqualFold(path.Ext(name), ".toml") {
		kinds[0], kinds[1] = kinds[1], kinds[0]
	}
	var cause error
	for _, kind := range kinds {
		var fields map[string]any
		err := kind.parse(plain, &fields)
		if err != nil || len(fields) == 0 {
			if cause == nil {
				cause = err
			}
			continue
		}
		asJSON, err := json.Marshal(fields)
		if err != nil { // numbers that are none, keys that are no texts
			cause = err
			continue
		}
		c, err := readJSON(asJSON, report)
		if report.Format == "V1" && kind.name == "TOML" {
			report.Format = "Parley's"
		}
		report.Format += " as " + kind.name
		return c, err
	}
	return Card{}, refuse(notACharacter, cause)
}

// parseJSON reads the outermost object of a file. The error is an *llm.Error
// or that of a parser.
func parseJSON(data []byte, report *ImportReport) (object, error) {
	o := object{report: report}
	if err := limits.CardBytes.CheckInt(len(data)); err != nil {
		return o, llm.Errorf(llm.Unreadable, "character", "the character's JSON: %v", err)
	}
	if !utf8.Valid(data) {
		report.note("repaired", "", "what is no UTF-8 was replaced")
		data = bytes.ToValidUTF8(data, []byte("\ufffd"))
	}
	if cut, ok := bytes.CutPrefix(data, []byte("\ufeff")); ok {
		report.note("repaired", "", "a byte order mark was left out")
		data = cut
	}
	if err := json.Unmarshal(data, &o.fields); err != nil {
		return o, err
	}
	if o.fields == nil {
		return o, errors.New("there is nothing")
	}
	return o, nil
}

// readJSON reads a card of any age.
func readJSON(data []byte, report *ImportReport) (Card, error) {
	o, err := parseJSON(data, report)
	if err != nil {
		return Card{}, refuse(notACharacter, err)
	}
	spec, version := text(o.fields["spec"]), ""
	if raw, ok := o.fields["spec_version"]; ok {
		version, _ = asText(raw)
	}
	_, hasData := o.fields["data"]
	switch {
	case spec == "lorebook_v3" || o.fields["entries"] != nil && o.fields["name"] == nil && !hasData:
		return Card{}, &llm.Error{Code: llm.Unreadable, Field: "character", Message: "the file is a lorebook, not a character",
			Hint: "parley lorebook import takes it, and PUT /parley/v1/lorebooks/NAME"}
	case spec == "chara_card_v3":
		report.Format = "V3"
	case spec == "chara_card_v2" || hasData:
		report.Format = "V2"
	case text(o.fields["kind"]) == "character" || fieldsOf(o.fields["persona"])["attributes"] != nil:
		report.Format = "Agnai"
		return readAgnai(&o)
	case o.fields["char_name"] != nil || o.fields["char_persona"] != nil:
		report.Format = "Pygmalion"
	case o.fields["context"] != nil || o.fields["greeting"] != nil:
		report.Format = "text-generation-webui"
	default:
		report.Format = "V1"
	}
	if version != "" && version != "2.0" && version != "3.0" {
		report.note("kept", "spec_version", "the version "+quote(version)+" is not known and read as the nearest one")
	}
	if report.Format == "V2" || report.Format == "V3" {
		return readSpec(&o)
	}
	return readFields(&o)
}

// readSpec reads a card of V2 or V3, whose fields stand in data. Some writers
// put copies around it, some put the fields there only.
func readSpec(o *object) (Card, error) {
	o.take("spec")
	o.take("spec_version")
	data, ok := o.inner("data")
	if !ok {
		o.report.note("repaired", "data", "it is missing; the fields around it were read")
		return readFields(o)
	}
	for _, name := range []string{"name", "description", "personality", "scenario", "first_mes", "mes_example"} {
		outer, ok := o.take(name)
		if !ok {
			continue
		}
		inner, there := data.fields[name]
		switch {
		case !there:
			data.fields[name] = outer
			o.report.note("repaired", "data."+name, "it is missing; the field outside was read")
		case text(inner) != text(outer):
			o.report.note("ignored", name, "it is another text than data."+name+", which counts")
		}
	}
	c, err := readFields(&data)
	c.Outer = o.rest()
	return c, err
}

// readFields reads the fields of all ages: those of the specifications, or the
// names that text-generation-webui and Pygmalion gave them.
func readFields(o *object) (Card, error) {
	c := Card{
		Name:               o.first("name", "bot", "<|bot|>", "char_name"),
		Nickname:           o.text("nickname"),
		Description:        o.first("description", "context", "char_persona"),
		Personality:        o.text("personality"),
		Scenario:           o.first("scenario", "world_scenario"),
		FirstMessage:       o.first("first_mes", "greeting", "char_greeting"),
		Examples:           o.first("mes_example", "example_dialogue"),
		AlternateGreetings: o.texts("alternate_greetings"),
		GroupGreetings:     o.texts("group_only_greetings"),
		SystemPrompt:       o.text("system_prompt"),
		PostHistory:        o.text("post_history_instructions"),
		Creator:            o.text("creator"),
		CreatorNotes:       o.text("creator_notes"),
		Version:            o.text("character_version"),
		Tags:               o.words("tags"),
		Source:             o.texts("source"),
	}
	if in, ok := o.inner("creator_notes_multilingual"); ok {
		c.CreatorNotesIn = map[string]string{}
		for language := range in.rest() {
			c.CreatorNotesIn[language] = in.text(language)
		}
	}
	for name, at := range map[string]*int64{"creation_date": &c.Created, "modification_date": &c.Modified} {
		if n, ok := o.number(name); ok && n > -1e15 && n < 1e15 {
			*at = int64(n)
		}
	}
	if raw, ok := o.take("assets"); ok {
		if json.Unmarshal(raw, &c.Assets) != nil {
			c.Assets = nil
			o.report.note("ignored", o.at("assets"), "it is no list of files")
		}
		for _, a := range c.Assets {
			if strings.HasPrefix(a.URI, "http:") || strings.HasPrefix(a.URI, "https:") {
				o.report.note("kept", o.at("assets"), "files on the network are not fetched")
			}
		}
	}
	if in, ok := o.inner("extensions"); ok {
		c.Extensions = in.rest()
	}
	if in, ok := o.inner("character_book"); ok {
		b, err := readBook(&in)
		if err != nil {
			return Card{}, err
		}
		c.Book = &b
	}
	c.Extra = o.rest()
	return c, nil
}

// check refuses what cannot be a character and notes what has no effect.
func (c *Card) check(report *ImportReport) error {
	if strings.TrimSpace(c.Name) == "" {
		return llm.Errorf(llm.Unreadable, "character", "the character's file gives it no name")
	}
	for _, name := range []string{c.Name, c.Nickname} {
		if err := limits.NameBytes.CheckInt(len(name)); err != nil {
			return llm.Errorf(llm.Unreadable, "character", "the character's name: %v", err)
		}
	}
	if n := len(c.Extra); n > 0 {
		for _, name := range sortedKeys(c.Extra) {
			report.note("kept", quote(name), "no specification knows this field")
		}
	}
	return nil
}

// quote repeats a word of a file, as far as a report repeats words.
func quote(s string) string { return short(s, limits.QuotedBytes.Int()) }

// short is a text of so many bytes at most.
func short(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
