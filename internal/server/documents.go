package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"parley/internal/character"
	"parley/internal/limits"
	"parley/internal/session"
	"parley/llm"
)

// A wireDocument is a character, a lorebook, a persona or a preset as clients see it; its file is
// had on its own.
type wireDocument struct {
	ID       string    `json:"id"`
	Revision int64     `json:"revision"`
	Name     string    `json:"name"`
	File     string    `json:"file"`
	Bytes    int       `json:"bytes"`
	Created  time.Time `json:"created,omitzero"` // absent of a file in the folder that nothing has read yet
	Deleted  bool      `json:"deleted,omitempty"`
	Folder   bool      `json:"folder,omitempty"` // of the folder of its kind

	Content json.RawMessage `json:"content,omitempty"` // of a persona or a preset that is asked for alone

	Import *character.ImportReport `json:"import,omitempty"` // of a file that was sent just now
}

func showDocument(d session.Document) wireDocument {
	return wireDocument{d.ID, d.Revision, d.Name, d.File, max(d.Bytes, len(d.Data)), d.Created, d.Deleted, d.Folder, nil, nil}
}

// documentRoutes are those of a shelf, whose name in paths is that of the
// shelf with an s.
func documentRoutes(shelf session.Shelf) []route {
	all := "/parley/v1/" + string(shelf) + "s"
	on := func(handle func(*Server, session.Shelf, http.ResponseWriter, *http.Request) error) func(*Server, http.ResponseWriter, *http.Request) error {
		return func(s *Server, w http.ResponseWriter, r *http.Request) error { return handle(s, shelf, w, r) }
	}
	return []route{
		{Native, "GET", all, forChat, false, on((*Server).listDocuments)},
		{Native, "POST", all, forChat, false, on((*Server).saveDocument)},
		{Native, "GET", all + "/*", forChat, false, on((*Server).readDocument)},
		{Native, "PUT", all + "/*", forChat, false, on((*Server).saveDocument)},
		{Native, "DELETE", all + "/*", forChat, false, on((*Server).deleteDocument)},
		{Native, "GET", all + "/*/file", forChat, false, on((*Server).documentFile)},
	}
}

func (s *Server) listDocuments(shelf session.Shelf, w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	limit, err := c.number("limit", 100, limits.ListItems)
	if err != nil {
		return err
	}
	list, err := c.Titles(r.Context(), shelf, c.query.Get("after"), limit+1) // one more tells whether there are more
	if err != nil {
		return err
	}
	more := len(list) > limit
	all := []wireDocument{}
	for _, d := range list[:min(limit, len(list))] {
		all = append(all, showDocument(d))
	}
	return writeList(w, r, map[string]any{string(shelf) + "s": all, "more": more})
}

// writeList answers with a page of a list. Its ETag is that of what stands in
// it: a client that has the same already is not sent it again.
func writeList(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(body)
	tag := fmt.Sprintf("%q", hex.EncodeToString(digest[:16]))
	w.Header().Set("ETag", tag)
	for _, have := range strings.Split(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		if have = strings.TrimSpace(have); have == "*" || strings.TrimPrefix(have, "W/") == tag {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	return writeJSON(w, r, http.StatusOK, body)
}

// saveDocument takes the file, which is the body: PUT under the id of the
// path, POST under a new one.
func (s *Server) saveDocument(shelf session.Shelf, w http.ResponseWriter, r *http.Request) error {
	x, err := s.sessions()
	if err != nil {
		return err
	}
	id := ""
	if r.Method == http.MethodPut {
		id = part(r, 1)
	}
	data, err := readBody(w, r)
	if err != nil {
		return err
	}
	base, err := ifMatch(r)
	if err != nil {
		return err
	}
	file := r.URL.Query().Get("file")
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case file != "":
	case shelf == session.Characters && (kind == "application/toml" || kind == "text/toml"):
		file = "character.toml"
	case shelf != session.Characters:
		file = cmp.Or(id, string(shelf)) + ".json"
	default:
		file = "character" + character.Ending(data)
	}
	saved, err := x.SaveDocument(r.Context(), shelf, id, base, file, data)
	if err != nil {
		return err
	}
	setETag(w, saved.Revision)
	status := http.StatusOK
	if saved.Created {
		status = http.StatusCreated
		w.Header().Set("Location", "/parley/v1/"+string(shelf)+"s/"+saved.ID)
	}
	v := showDocument(saved.Document)
	v.Import = &saved.Report
	body, err := encode(v)
	if err != nil {
		return err
	}
	return writeJSON(w, r, status, body)
}

// document finds the document of a request, in the revision that it asks for.
func (s *Server) document(shelf session.Shelf, r *http.Request) (session.Document, error) {
	x, err := s.sessions()
	if err != nil {
		return session.Document{}, err
	}
	var revision int64
	if v := r.URL.Query().Get("revision"); v != "" {
		if revision, err = strconv.ParseInt(v, 10, 64); err != nil || revision < 1 {
			return session.Document{}, llm.Errorf(llm.Invalid, "revision", "must be the number of a revision, from 1")
		}
	}
	return x.Document(r.Context(), shelf, part(r, 1), revision)
}

func (s *Server) readDocument(shelf session.Shelf, w http.ResponseWriter, r *http.Request) error {
	d, err := s.document(shelf, r)
	if err != nil {
		return err
	}
	setETag(w, d.Revision)
	v := showDocument(d)
	if shelf == session.Personas || shelf == session.Presets {
		v.Content = d.Data
	}
	return writeValue(w, r, v)
}

// documentFile answers with the file as it was sent. No browser is to run
// anything in it.
func (s *Server) documentFile(shelf session.Shelf, w http.ResponseWriter, r *http.Request) error {
	d, err := s.document(shelf, r)
	if err != nil {
		return err
	}
	setETag(w, d.Revision)
	return writeFile(w, r, path.Base(d.File), d.Data)
}

// writeFile answers with a file that is to be kept, not shown.
func writeFile(w http.ResponseWriter, r *http.Request, name string, data []byte) error {
	kind := "application/octet-stream"
	switch path.Ext(name) {
	case ".png":
		kind = "image/png"
	case ".webp":
		kind = "image/webp"
	case ".json":
		kind = "application/json"
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		if _, err := w.Write(data); err != nil {
			return errLeft
		}
	}
	return nil
}

func (s *Server) importCharacter(w http.ResponseWriter, r *http.Request) error {
	return s.saveDocument(session.Characters, w, r)
}

// exportCharacter answers with a character as a card, whatever its own file
// is: JSON of V2 or V3, or a picture that holds both.
func (s *Server) exportCharacter(w http.ResponseWriter, r *http.Request) error {
	d, err := s.document(session.Characters, r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	as, format := cmp.Or(query.Get("as"), "png"), query.Get("format")
	if as == "v2" || as == "v3" {
		as, format = "json", as
	}
	version, known := map[string]int{"": 3, "v3": 3, "v2": 2}[format]
	switch {
	case !known:
		return llm.Errorf(llm.Invalid, "format", "must be v2 or v3")
	case as != "png" && as != "json":
		return llm.Errorf(llm.Invalid, "as", "must be png, json, v2 or v3")
	}
	card, _, err := character.ReadCard(d.File, d.Data)
	if err != nil {
		return err
	}
	var data []byte
	if as == "json" {
		data, err = card.JSON(version)
	} else {
		var avatar []byte
		if avatar, err = character.Avatar(d.Data); err == nil {
			data, err = card.PNG(avatar)
		}
	}
	if err != nil {
		return err
	}
	setETag(w, d.Revision)
	return writeFile(w, r, d.ID+"."+as, data)
}

func (s *Server) deleteDocument(shelf session.Shelf, w http.ResponseWriter, r *http.Request) error {
	x, err := s.sessions()
	if err != nil {
		return err
	}
	base, err := ifMatch(r)
	if err != nil {
		return err
	}
	if err := x.DeleteDocument(r.Context(), shelf, part(r, 1), base); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
