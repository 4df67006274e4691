package character

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// JSON writes the card as a specification has it: version 2 or 3. Fields that
// only V3 knows are written to V2, too: its readers pass over them, and no
// card loses anything on its way.
func (c Card) JSON(version int) ([]byte, error) {
	spec, number := "chara_card_v3", "3.0"
	if version == 2 {
		spec, number = "chara_card_v2", "2.0"
	}
	outer := raw(c.Outer)
	outer["spec"], outer["spec_version"], outer["data"] = spec, number, c.data(version)
	return encode(outer)
}

func (c Card) data(version int) map[string]any {
	d := raw(c.Extra)
	maps.Copy(d, map[string]any{
		"name": c.Name, "description": c.Description, "personality": c.Personality, "scenario": c.Scenario,
		"first_mes": c.FirstMessage, "mes_example": c.Examples, "creator_notes": c.CreatorNotes,
		"system_prompt": c.SystemPrompt, "post_history_instructions": c.PostHistory,
		"alternate_greetings": list(c.AlternateGreetings), "tags": list(c.Tags), "creator": c.Creator,
		"character_version": c.Version, "extensions": raw(c.Extensions),
	})
	if version == 3 || len(c.GroupGreetings) > 0 { // V3 demands it
		d["group_only_greetings"] = list(c.GroupGreetings)
	}
	set(d, "nickname", c.Nickname, c.Nickname != "")
	set(d, "creator_notes_multilingual", c.CreatorNotesIn, c.CreatorNotesIn != nil)
	set(d, "source", c.Source, c.Source != nil)
	set(d, "assets", c.Assets, c.Assets != nil)
	set(d, "creation_date", c.Created, c.Created != 0)
	set(d, "modification_date", c.Modified, c.Modified != 0)
	if c.Book != nil {
		d["character_book"] = c.Book.fields()
	}
	return d
}

// JSON writes the book as a lorebook of V3.
func (b Book) JSON() ([]byte, error) {
	return encode(map[string]any{"spec": "lorebook_v3", "data": b.fields()})
}

// World writes the book as a world file of SillyTavern. What such a file has no
// place for is written, too, and passed over there.
func (b Book) World() ([]byte, error) {
	d := raw(b.Extra)
	entries := make(map[string]any, len(b.Entries))
	for i, e := range b.Entries {
		entries[strconv.Itoa(i)] = e.world(i)
	}
	d["entries"] = entries
	set(d, "name", b.Name, b.Name != "")
	set(d, "description", b.Description, b.Description != "")
	set(d, "scan_depth", b.ScanDepth, b.ScanDepth != nil)
	set(d, "token_budget", b.TokenBudget, b.TokenBudget != nil)
	set(d, "recursive_scanning", b.Recursive, b.Recursive != nil)
	set(d, "extensions", b.Extensions, b.Extensions != nil)
	return encode(d)
}

func (e Entry) world(number int) map[string]any {
	d := raw(e.Extra)
	maps.Copy(d, map[string]any{ // what SillyTavern expects of every entry
		"uid": number, "key": list(e.Keys), "keysecondary": list(e.SecondaryKeys), "comment": e.Comment, "content": e.Content,
		"constant": e.Constant, "selective": e.Selective, "order": e.Order, "disable": !e.Enabled,
		"position": 1, "depth": 4, "probability": 100, "useProbability": true,
	})
	if e.Position == "before_char" {
		d["position"] = 0
	}
	if n, err := strconv.Atoi(string(e.ID)); err == nil {
		d["uid"] = n
	}
	if e.CaseSensitive != nil {
		d["caseSensitive"] = *e.CaseSensitive
	}
	rest := raw(e.Extensions)
	for world, card := range worldNames {
		if v, ok := e.Extensions[card]; ok {
			d[world] = v
			delete(rest, card)
		}
	}
	if e.HasPatterns() {
		keys := make([]string, len(e.Keys))
		for i, key := range e.Keys {
			if keys[i] = key; !strings.HasPrefix(key, "/") {
				keys[i] = "/" + strings.ReplaceAll(key, "/", `\/`) + "/"
			}
		}
		d["key"] = keys
	}
	set(d, "comment", e.Name, e.Comment == "" && e.Name != "")
	set(d, "name", e.Name, e.Name != "")
	set(d, "priority", e.Priority, e.Priority != nil)
	set(d, "extensions", rest, len(rest) > 0)
	return d
}

func (b Book) fields() map[string]any {
	d := raw(b.Extra)
	entries := make([]map[string]any, len(b.Entries))
	for i, e := range b.Entries {
		entries[i] = e.fields()
	}
	d["entries"], d["extensions"] = entries, raw(b.Extensions)
	set(d, "name", b.Name, b.Name != "")
	set(d, "description", b.Description, b.Description != "")
	set(d, "scan_depth", b.ScanDepth, b.ScanDepth != nil)
	set(d, "token_budget", b.TokenBudget, b.TokenBudget != nil)
	set(d, "recursive_scanning", b.Recursive, b.Recursive != nil)
	return d
}

func (e Entry) fields() map[string]any {
	d := raw(e.Extra)
	maps.Copy(d, map[string]any{
		"keys": list(e.Keys), "content": e.Content, "extensions": raw(e.Extensions), "enabled": e.Enabled,
		"insertion_order": e.Order, "use_regex": e.UseRegex, "constant": e.Constant,
	})
	set(d, "selective", e.Selective, e.Selective)
	set(d, "secondary_keys", e.SecondaryKeys, e.SecondaryKeys != nil)
	set(d, "case_sensitive", e.CaseSensitive, e.CaseSensitive != nil)
	set(d, "priority", e.Priority, e.Priority != nil)
	set(d, "position", e.Position, e.Position != "")
	set(d, "name", e.Name, e.Name != "")
	set(d, "comment", e.Comment, e.Comment != "")
	set(d, "id", e.ID, e.ID != nil)
	return d
}

func set(d map[string]any, name string, v any, said bool) {
	if said {
		d[name] = v
	}
}

// list writes no list as an empty one, where a specification demands a list.
func list(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}

func raw(fields map[string]json.RawMessage) map[string]any {
	d := make(map[string]any, len(fields)+16)
	for k, v := range fields {
		d[k] = v
	}
	return d
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// PNG writes the card into a picture, as V2 and as V3, so that readers of
// either age find it. The avatar is a PNG that [Avatar] made, or nil for a
// plain picture.
func (c Card) PNG(avatar []byte) ([]byte, error) {
	if avatar == nil {
		avatar = plainPicture(c.Name)
	}
	v2, err := c.JSON(2)
	if err != nil {
		return nil, err
	}
	v3, err := c.JSON(3)
	if err != nil {
		return nil, err
	}
	return withTexts(avatar, [2]string{"chara", string(v2)}, [2]string{"ccv3", string(v3)}), nil
}
