package character

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/internal/limits"
	"parley/llm"
)

const cardV3 = `{"spec":"chara_card_v3","spec_version":"3.0","outside":1,"data":{
	"name":"Ada","nickname":"Countess","description":"She counts.","personality":"Patient.","scenario":"A mill.",
	"first_mes":"Hello, {{user}}!","mes_example":"<START>\n{{user}}: 1\n{{char}}: 2","creator_notes":"n","system_prompt":"{{original}} s",
	"post_history_instructions":"p","alternate_greetings":["Again?"],"group_only_greetings":["All here?"],"tags":["a","b"],"creator":"c",
	"character_version":"1","creator_notes_multilingual":{"de":"N"},"source":["s"],"creation_date":5,"modification_date":6,
	"assets":[{"type":"icon","uri":"ccdefault:","name":"main","ext":"png"}],"unheard_of":{"x":[1,2.50]},
	"extensions":{"depth_prompt":{"prompt":"deep","depth":2,"role":"user"},"talkativeness":"0.7","mine":{"y":1e2}},
	"character_book":{"name":"B","entries":[{"keys":["mill"],"content":"It stands.","enabled":true,"insertion_order":3,"use_regex":false,
		"constant":false,"extensions":{"position":4,"depth":1},"id":7,"secondary_keys":["wind"],"selective":true,"strange":1}],
		"extensions":{},"scan_depth":3,"token_budget":100,"recursive_scanning":true}}}`

func read(t *testing.T, name string, data []byte) (Card, ImportReport) {
	t.Helper()
	c, report, err := ReadCard(name, data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c, report
}

func TestACardOfV3HasAllItsFields(t *testing.T) {
	c, report := read(t, "a.json", []byte(cardV3))
	if report.Format != "V3 as JSON" {
		t.Error(report)
	}
	got := []any{
		c.Name, c.Called(), c.Description, c.Personality, c.Scenario, c.FirstMessage, c.Examples, c.CreatorNotes, c.SystemPrompt, c.PostHistory,
		c.AlternateGreetings, c.GroupGreetings, c.Tags, c.Creator, c.Version, c.CreatorNotesIn["de"], c.Source, c.Created, c.Modified, c.Assets[0].URI,
		c.DepthPrompt(), c.Talkativeness(), c.Greetings(false), c.Greetings(true),
	}
	want := []any{
		"Ada", "Countess", "She counts.", "Patient.", "A mill.", "Hello, {{user}}!", "<START>\n{{user}}: 1\n{{char}}: 2", "n", "{{original}} s", "p",
		[]string{"Again?"}, []string{"All here?"}, []string{"a", "b"}, "c", "1", "N", []string{"s"}, int64(5), int64(6), "ccdefault:",
		DepthPrompt{"deep", 2, "user"}, 0.7, []string{"Hello, {{user}}!", "Again?"}, []string{"All here?", "Hello, {{user}}!", "Again?"},
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("field %d: got %v, want %v", i, got[i], want[i])
		}
	}
	b := c.Book
	if b.Name != "B" || *b.ScanDepth != 3 || *b.TokenBudget != 100 || !*b.Recursive || len(b.Entries) != 1 {
		t.Fatalf("%+v", b)
	}
	if e := b.Entries[0]; e.Keys[0] != "mill" || e.SecondaryKeys[0] != "wind" || !e.Enabled || !e.Selective || e.Order != 3 || string(e.ID) != "7" || e.Content != "It stands." {
		t.Errorf("%+v", e)
	}
}

// compact is a card without what may differ in writing: spaces in raw fields.
func compact(t *testing.T, c Card) string {
	t.Helper()
	data, err := c.JSON(3)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestNothingIsLostOnTheWayThroughAnyFile(t *testing.T) {
	c, _ := read(t, "a.json", []byte(cardV3))
	want := compact(t, c)
	for _, kept := range []string{`"unheard_of":{"x":[1,2.50]}`, `"outside":1`, `"mine":{"y":1e2}`, `"strange":1`, `"position":4`} {
		if !strings.Contains(want, kept) {
			t.Errorf("%s was lost", kept)
		}
	}
	v2, _ := c.JSON(2)
	v3, _ := c.JSON(3)
	picture, err := c.PNG(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"V2": v2, "V3": v3, "PNG": picture,
		"PNG with V2 only": bytes.Replace(picture, []byte("ccv3\x00"), []byte("ccvx\x00"), 1),
		"CHARX":            archive(t, map[string]string{"card.json": string(v3)}),
		"CHARX in a JPEG":  slices.Concat(photo(t), archive(t, map[string]string{"card.json": string(v3)})),
	} {
		if got, _ := read(t, "x", data); compact(t, got) != want {
			t.Errorf("%s: got %s\nwant %s", name, compact(t, got), want)
		}
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Errorf("the picture is broken: %v", err)
	}
}

func TestCardsOfAllAges(t *testing.T) {
	for name, c := range map[string]struct {
		file, data, format string
		want               Card
	}{
		"V1": {"a.json", `{"name":"Ada","description":"d","personality":"p","scenario":"s","first_mes":"f","mes_example":"m"}`, "V1 as JSON",
			Card{Name: "Ada", Description: "d", Personality: "p", Scenario: "s", FirstMessage: "f", Examples: "m"}},
		"V2": {"a", `{"spec":"chara_card_v2","spec_version":"2.0","data":{"name":"Ada","system_prompt":"s"}}`, "V2 as JSON",
			Card{Name: "Ada", SystemPrompt: "s"}},
		"Pygmalion": {"a.json", `{"char_name":"Ada","char_persona":"p","char_greeting":"g","world_scenario":"w","example_dialogue":"e"}`, "Pygmalion as JSON",
			Card{Name: "Ada", Description: "p", FirstMessage: "g", Scenario: "w", Examples: "e"}},
		"text-generation-webui": {"a.yaml", "name: Ada\ngreeting: |-\n  Hi\ncontext: |\n  c\n", "text-generation-webui as YAML",
			Card{Name: "Ada", FirstMessage: "Hi", Description: "c\n"}},
		"TOML": {"a.toml", "name = 'Ada'\ndescription = '''\nShe: counts.'''\nalternate_greetings = ['a', 'b']\n[[character_book.entries]]\nkeys = ['k']\ncontent = 'c'\n", "Parley's as TOML",
			Card{Name: "Ada", Description: "She: counts.", AlternateGreetings: []string{"a", "b"}, Book: &Book{Entries: []Entry{{Keys: []string{"k"}, Content: "c", Enabled: true}}}}},
		"TOML without a name": {"", "name = 'Ada'\n", "Parley's as TOML", Card{Name: "Ada"}},
	} {
		got, report, err := ReadCard(c.file, []byte(c.data))
		if err != nil || !reflect.DeepEqual(got, c.want) || report.Format != c.format || len(report.Notes) > 0 {
			t.Errorf("%s: got %+v, %+v, %v\nwant %+v", name, got, report, err, c.want)
		}
	}
}

func TestDirtIsPutRightAndSaid(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		note string // code and value
		ok   func(Card) bool
	}{
		"no book":              {`{"spec":"chara_card_v2","data":{"name":"A","character_book":null}}`, "", func(c Card) bool { return c.Book == nil }},
		"a greeting alone":     {`{"data":{"name":"A","alternate_greetings":"b"}}`, "repaired data.alternate_greetings", func(c Card) bool { return slices.Equal(c.AlternateGreetings, []string{"b"}) }},
		"tags with commas":     {`{"data":{"name":"A","tags":"a, b,"}}`, "repaired data.tags", func(c Card) bool { return slices.Equal(c.Tags, []string{"a", "b"}) }},
		"no data":              {`{"spec":"chara_card_v2","name":"A","first_mes":"f"}`, "repaired data", func(c Card) bool { return c.FirstMessage == "f" }},
		"fields outside":       {`{"spec":"chara_card_v2","first_mes":"f","data":{"name":"A"}}`, "repaired data.first_mes", func(c Card) bool { return c.FirstMessage == "f" }},
		"two that differ":      {`{"spec":"chara_card_v2","name":"B","data":{"name":"A"}}`, "ignored name", func(c Card) bool { return c.Name == "A" }},
		"two that do not":      {`{"spec":"chara_card_v2","name":"A","data":{"name":"A"}}`, "", func(c Card) bool { return c.Name == "A" && c.Outer == nil }},
		"a number for a text":  {`{"data":{"name":"A","character_version":1.5}}`, "repaired data.character_version", func(c Card) bool { return c.Version == "1.5" }},
		"a text for a number":  {`{"data":{"name":"A","character_book":{"entries":[{"keys":["k"],"content":"c","enabled":"false","insertion_order":"7"}]}}}`, "repaired data.character_book.entries[0].insertion_order", func(c Card) bool { return c.Book.Entries[0].Order == 7 && !c.Book.Entries[0].Enabled }},
		"an object for a text": {`{"data":{"name":"A","description":{}}}`, "ignored data.description", func(c Card) bool { return c.Description == "" }},
		"a later version":      {`{"spec":"chara_card_v3","spec_version":"3.9","data":{"name":"A"}}`, "kept spec_version", func(c Card) bool { return c.Name == "A" }},
		"an unknown field":     {`{"data":{"name":"A","zzz":1}}`, "kept zzz", func(c Card) bool { return string(c.Extra["zzz"]) == "1" }},
		"a mark of byte order": {"\ufeff{\"name\":\"A\"}", "repaired ", func(c Card) bool { return c.Name == "A" }},
		"no UTF-8":             {"{\"name\":\"A\",\"description\":\"a\xff\"}", "repaired ", func(c Card) bool { return c.Description == "a\ufffd" }},
		"no UTF-8 in others":   {"{\"name\":\"A\",\"zzz\":\"a\xff\"}", "repaired ", func(c Card) bool { return string(c.Extra["zzz"]) == "\"a\ufffd\"" }},
		"a file elsewhere":     {`{"data":{"name":"A","assets":[{"type":"icon","uri":"https://a.example/x"}]}}`, "kept data.assets", func(c Card) bool { return len(c.Assets) == 1 }},
		"one key with a comma": {`{"data":{"name":"A","tags":["a, b"],"character_book":{"entries":[{"keys":["/x{1,3}/"],"content":"c"}]}}}`, "", func(c Card) bool {
			return slices.Equal(c.Tags, []string{"a, b"}) && slices.Equal(c.Book.Entries[0].Keys, []string{"/x{1,3}/"})
		}},
		"a broken entry": {`{"data":{"name":"A","character_book":{"entries":[3,{"keys":"a,b","content":"c"}]}}}`, "ignored data.character_book.entries[0]", func(c Card) bool { return slices.Equal(c.Book.Entries[0].Keys, []string{"a", "b"}) }},
	} {
		got, report, err := ReadCard("a.json", []byte(c.data))
		if err != nil || !c.ok(got) {
			t.Errorf("%s: got %+v, %v", name, got, err)
			continue
		}
		said := c.note == "" && len(report.Notes) == 0
		for _, n := range report.Notes {
			said = said || n.Code+" "+n.Value == c.note
		}
		if !said {
			t.Errorf("%s: report %+v, want %q", name, report.Notes, c.note)
		}
	}
}

func chunk(kind string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	all := append([]byte(kind), body...)
	return binary.BigEndian.AppendUint32(append(out, all...), crc32.ChecksumIEEE(all))
}

func deflated(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func TestTextsOfAPictureAreFoundWhereverTheyStand(t *testing.T) {
	plain := plainPicture("x")
	const end = 12 // IEND
	head, tail := plain[:33], plain[33:]
	v2 := []byte(base64.StdEncoding.EncodeToString([]byte(`{"spec":"chara_card_v2","data":{"name":"Two"}}`)))
	v3 := []byte(base64.StdEncoding.EncodeToString([]byte(`{"spec":"chara_card_v3","data":{"name":"Three"}}`)))
	text := func(keyword string, data []byte) []byte {
		return chunk("tEXt", slices.Concat([]byte(keyword+"\x00"), data))
	}
	before := func(c ...[]byte) []byte { return slices.Concat(head, slices.Concat(c...), tail) }
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"before the picture":    {before(text("chara", v2)), "Two"},
		"behind the picture":    {slices.Concat(plain[:len(plain)-end], text("chara", v2), plain[len(plain)-end:]), "Two"},
		"behind the end":        {slices.Concat(plain, text("chara", v2)), "Two"},
		"V3 rather than V2":     {before(text("ccv3", v3), text("chara", v2)), "Three"},
		"V2 if V3 is broken":    {before(text("ccv3", []byte("!!")), text("chara", v2)), "Two"},
		"compressed":            {before(chunk("zTXt", slices.Concat([]byte("chara\x00\x00"), deflated(v2)))), "Two"},
		"international":         {before(chunk("iTXt", slices.Concat([]byte("ccv3\x00\x00\x00en\x00k\x00"), v3))), "Three"},
		"both":                  {before(chunk("iTXt", slices.Concat([]byte("ccv3\x00\x01\x00\x00\x00"), deflated(v3)))), "Three"},
		"JSON as it is":         {before(text("chara", []byte(`{"name":"Plain"}`))), "Plain"},
		"without its padding":   {before(text("chara", bytes.TrimRight(v2, "="))), "Two"},
		"a keyword in capitals": {before(text("Chara", v2)), "Two"},
	} {
		if got, _, err := ReadCard("a.png", c.data); err != nil || got.Name != c.want {
			t.Errorf("%s: got %q, %v", name, got.Name, err)
		}
	}
	for name, data := range map[string][]byte{
		"none":          plain,
		"not base64":    before(text("chara", []byte("%%%"))),
		"not zlib":      before(chunk("zTXt", []byte("chara\x00\x00xx"))),
		"a long length": append(slices.Clone(head), 0xff, 0xff, 0xff, 0xff, 't', 'E', 'X', 't', 0, 0, 0, 0),
		"a bomb":        before(chunk("zTXt", slices.Concat([]byte("chara\x00\x00"), deflated(bytes.Repeat([]byte(" "), limits.CardBytes.Int()*2))))),
	} {
		if _, _, err := ReadCard("a.png", data); llm.AsError(err).Code != llm.Unreadable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, data := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(data))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func photo(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 8, 12)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFilesThatHoldNoCardAreRefused(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":              "",
		"a text":               "Hello.",
		"a list":               "[]",
		"half a card":          cardV3[:200],
		"no name":              `{"data":{"description":"d"}}`,
		"a lorebook":           `{"spec":"lorebook_v3","data":{"entries":[]}}`,
		"an archive of others": string(archive(t, map[string]string{"a.txt": "a"})),
		"a bomb":               string(archive(t, map[string]string{"card.json": strings.Repeat(" ", limits.CardBytes.Int()+1)})),
		"a photo":              string(photo(t)),
		"a long name":          `{"name":"` + strings.Repeat("a", limits.NameBytes.Int()+1) + `"}`,
		"too many entries":     `{"name":"A","character_book":{"entries":[` + strings.Repeat("{},", limits.LoreEntries.Int()) + `{}]}}`,
		"deep YAML":            "name: a\nx: " + strings.Repeat("[", 100) + strings.Repeat("]", 100),
		"YAML in a line":       "name: a\nx:\n  " + strings.Repeat("- ", 1000) + "x",
		"long YAML":            "name: a\nx:\n" + strings.Repeat("- a\n", 60_000),
		"long TOML":            "name = 'a'\n" + strings.Repeat("[[a]]\n", limits.TOMLKeys.Int()),
		"a deep one":           `{"name":` + strings.Repeat("[", 100_000),
	} {
		if _, _, err := ReadCard("x", []byte(data)); llm.AsError(err).Code != llm.Unreadable || llm.AsError(err).Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPictureIsDrawnAnew(t *testing.T) {
	c := Card{Name: "Ada", Assets: []Asset{{Type: "icon", URI: "embeded://assets/icon/a.jpg"}}}
	card, err := c.JSON(3)
	if err != nil {
		t.Fatal(err)
	}
	c.Assets = append(c.Assets, Asset{Type: "icon", Name: "main", URI: "embeded://main.png"}, Asset{Type: "icon", URI: "embeded://assets/icon/a.jpg"})
	several, err := c.JSON(3)
	if err != nil {
		t.Fatal(err)
	}
	c.Assets = c.Assets[:1]
	c.Assets[0].URI = "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(photo(t))
	inside, err := c.JSON(3)
	if err != nil {
		t.Fatal(err)
	}
	webp, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==") // one pixel
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := c.PNG(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		size image.Point
	}{
		"a card":              {hidden, image.Pt(400, 600)},
		"a photo":             {photo(t), image.Pt(8, 12)},
		"a WebP":              {webp, image.Pt(1, 1)},
		"an archive":          {archive(t, map[string]string{"card.json": string(card), "assets/icon/a.jpg": string(photo(t))}), image.Pt(8, 12)},
		"the main of several": {archive(t, map[string]string{"card.json": string(several), "assets/icon/a.jpg": string(photo(t)), "main.png": string(hidden)}), image.Pt(400, 600)},
		"inside JSON":         {inside, image.Pt(8, 12)},
	} {
		got, err := Avatar(c.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		picture, err := png.Decode(bytes.NewReader(got))
		if err != nil || picture.Bounds().Size() != c.size || bytes.Contains(got, []byte("tEXt")) {
			t.Errorf("%s: %v, %v", name, picture, err)
		}
	}
	if got, err := Avatar([]byte(cardV3)); got != nil || err != nil {
		t.Errorf("a picture out of nothing: %d bytes, %v", len(got), err)
	}
	wide := chunk("IHDR", []byte{0, 1, 0, 0, 0, 1, 0, 0, 8, 6, 0, 0, 0})
	long := chunk("IHDR", []byte{0, 0, 1, 0, 0, 0, 0, 1, 8, 6, 0, 0, 0})
	for name, header := range map[string][]byte{"65536 by 65536": wide, "256 by 1": long} {
		_, err := Avatar(slices.Concat([]byte(pngSignature), header, chunk("IDAT", nil)))
		if _, ok := errors.AsType[*limits.Exceeded](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLorebooksOfAllKinds(t *testing.T) {
	entry := `{"keys":["mill"],"content":"It stands.","enabled":true,"insertion_order":3,"extensions":{"depth":1}}`
	for name, data := range map[string]string{
		"V3":        `{"spec":"lorebook_v3","data":{"entries":[` + entry + `]}}`,
		"bare":      `{"entries":[` + entry + `]}`,
		"in a card": `{"spec":"chara_card_v2","data":{"name":"A","character_book":{"entries":[` + entry + `]}}}`,
		"a world":   `{"entries":{"10":{"uid":10,"key":["later"]},"2":{"uid":2,"key":["mill"],"content":"It stands.","order":3,"disable":false,"depth":1,"zz":1}}}`,
	} {
		b, _, err := ReadBook([]byte(data))
		if err != nil || len(b.Entries) == 0 {
			t.Errorf("%s: %+v, %v", name, b, err)
			continue
		}
		if e := b.Entries[0]; e.Keys[0] != "mill" || e.Content != "It stands." || !e.Enabled || e.Order != 3 || string(e.Extensions["depth"]) != "1" {
			t.Errorf("%s: %+v", name, e)
		}
		again, err := b.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := ReadBook(again); err != nil || len(got.Entries) != len(b.Entries) || !reflect.DeepEqual(got.Entries[0].Extra, b.Entries[0].Extra) {
			t.Errorf("%s: written and read again it is %+v, %v", name, got, err)
		}
	}
	if _, _, err := ReadBook([]byte(`{"name":"A"}`)); llm.AsError(err).Code != llm.Unreadable {
		t.Error(err)
	}
}

func TestAFolderKeepsFilesAsTheyAre(t *testing.T) {
	f := Folder(filepath.Join(t.TempDir(), "new"))
	for _, c := range []struct{ name, data, saved string }{
		{"x.json", `{"name":"Ada"}`, "Ada.json"},
		{"x", "name: Bob\ncontext: c\n", "Bob.yaml"},
		{"x.toml", "name = 'Cy'\n", "Cy.toml"},
		{"x", string(archive(t, map[string]string{"card.json": `{"name":"Di"}`})), "Di.charx"},
		{"x", `{"name":"../a/b\\c:d*e"}`, "_.._a_b_c_d_e.json"},
		{"x", `{"name":"con"}`, "_con.json"},
		{"x", `{"name":"a.. "}`, "a.json"},
		{"x", `{"name":"` + strings.Repeat("ä", 100) + `"}`, strings.Repeat("ä", 50) + ".json"},
	} {
		saved, _, err := f.Save(c.name, []byte(c.data), false)
		if err != nil || saved != c.saved {
			t.Errorf("%s: %q, %v", c.data, saved, err)
			continue
		}
		file, data, err := f.Read(t.Context(), strings.TrimSuffix(saved, filepath.Ext(saved)))
		if err != nil || file != saved || string(data) != c.data {
			t.Errorf("%s: read again it is %q, %v", saved, data, err)
		}
	}
	if _, _, err := f.Save("x.toml", []byte("name = 'Ada'\n"), false); llm.AsError(err).Code != llm.Invalid {
		t.Error(err)
	}
	if _, _, err := f.Save("x.toml", []byte("name = 'Ada'\n"), true); err != nil {
		t.Error(err)
	}
	if file, _, err := f.Read(t.Context(), "Ada"); file != "Ada.toml" {
		t.Errorf("%s, %v", file, err)
	}
	if _, _, err := f.Save("x", []byte("nothing"), true); llm.AsError(err).Code != llm.Unreadable {
		t.Error(err)
	}
	if names, err := f.Names(); err != nil || len(names) != 8 {
		t.Errorf("%q, %v", names, err)
	}
}

func TestAFolderReadsCards(t *testing.T) {
	dir := t.TempDir()
	c, _ := read(t, "", []byte(cardV3))
	picture, err := c.PNG(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"png.png": string(picture), "json.json": cardV3, "zip.charx": string(archive(t, map[string]string{"card.json": cardV3})),
		"toml.toml": "name = 'Countess'\ndescription = 'She counts.'\nfirst_mes = 'Hello, {{user}}!'\npersonality='Patient.'\nscenario='A mill.'\nmes_example=\"<START>\\n{{user}}: 1\\n{{char}}: 2\"\n",
		"note.txt":  "x",
	} {
		write(t, dir, name, data)
	}
	f := Folder(dir)
	want := Character{Name: "Countess", Context: "She counts.\nPatient.\nScenario: A mill.\n<START>\n{{user}}: 1\n{{char}}: 2", Greeting: "Hello, {{user}}!"}
	names, err := f.Names()
	if err != nil || !slices.Equal(names, []string{"json", "png", "toml", "zip"}) {
		t.Errorf("%v, %v", names, err)
	}
	for _, name := range names {
		if got, err := f.Character(t.Context(), name); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func FuzzReadCard(f *testing.F) {
	c, _, err := ReadCard("", []byte(cardV3))
	if err != nil {
		f.Fatal(err)
	}
	c.Name = "Ä"
	small := plainPicture("x")
	v3, _ := c.JSON(3)
	f.Add([]byte(cardV3))
	f.Add(withTexts(small, [2]string{"ccv3", string(v3)}))
	f.Add(slices.Concat(small[:33], chunk("zTXt", slices.Concat([]byte("chara\x00\x00"), deflated(v3))), small[33:]))
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("name: a\ncontext: b\n"))
	f.Add([]byte("name = 'a'\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := ReadCard("", data)
		if err != nil {
			if e, ok := errors.AsType[*llm.Error](err); !ok || e.Message == "" {
				t.Fatalf("error %#v", err)
			}
			return
		}
		written, err := c.JSON(3)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := ReadCard("", written)
		if err != nil {
			t.Fatalf("%v of %s", err, written)
		}
		if a, b := compact(t, c), compact(t, again); a != b {
			t.Fatalf("got %s\nwant %s", b, a)
		}
		c.Character()
		c.DepthPrompt()
		c.Talkativeness()
	})
}

func FuzzReadBook(f *testing.F) {
	f.Add([]byte(`{"entries":{"1":{"key":["a"],"order":"x","position":4}}}`))
	f.Add([]byte(`{"spec":"lorebook_v3","data":{"entries":[{"keys":"a,b"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, _, err := ReadBook(data)
		if err != nil {
			return
		}
		written, err := b.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if again, _, err := ReadBook(written); err != nil || len(again.Entries) != len(b.Entries) {
			t.Fatalf("%v of %s", err, written)
		}
	})
}

func FuzzAvatar(f *testing.F) {
	f.Add(chunk("IHDR", []byte{0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0}))
	f.Add([]byte("\xff\xd8\xff"))
	f.Add([]byte("RIFF\x00\x00\x00\x00WEBPVP8L"))
	f.Fuzz(func(_ *testing.T, data []byte) { Avatar(data) })
}

func TestACardHasNoMoreGreetingsThanTheLimit(t *testing.T) {
	most := limits.Greetings.Int()
	c := Card{FirstMessage: "first", GroupGreetings: []string{"all"}, AlternateGreetings: slices.Repeat([]string{"g"}, 2*most)}
	if got := c.Greetings(false); len(got) != most || got[0] != "first" {
		t.Errorf("%d, %q", len(got), got[0])
	}
	if got := c.Greetings(true); len(got) != most || got[0] != "all" {
		t.Errorf("%d, %q", len(got), got[0])
	}
}

func TestWhatIsWrongWithAFileIsSaidOnOneLine(t *testing.T) {
	for data, want := range map[string]string{
		"name: [a\ncontext: c\n":        "the file holds no character: [2:1] ',' or ']' must be specified",
		`{"name": "Ada" "x"}`:           "the file holds no character: invalid character '\"' after object key:value pair",
		"null":                          "the file holds no character: [1:1] null was used where mapping is expected",
		"":                              "the file holds no character",
		"name: &a Ada\nx: *b\n" + "c: ": "the file holds no character: [2:5] could not find alias \"b\"",
	} {
		if _, _, err := ReadCard("x", []byte(data)); llm.AsError(err).Message != want {
			t.Errorf("%q: %q, want %q", data, llm.AsError(err).Message, want)
		}
	}
	if _, _, err := ReadBook([]byte("{")); llm.AsError(err).Message != "the file holds no lorebook: unexpected end of JSON input" {
		t.Error(err)
	}
	if _, _, err := ReadBook(bytes.Repeat([]byte(" "), limits.CardBytes.Int()+1)); !strings.Contains(llm.AsError(err).Message, "(limit card_bytes)") {
		t.Error(err)
	}
}
