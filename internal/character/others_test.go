package character

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// webp is a picture of one pixel with a comment in its EXIF data.
func webp(t *testing.T, order binary.AppendByteOrder, comment string) []byte {
	t.Helper()
	picture, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	u16, u32 := order.AppendUint16, order.AppendUint32
	exif := []byte("II*\x00")
	if order.String() == binary.BigEndian.String() {
		exif = []byte("MM\x00*")
	}
	exif = u32(exif, 8)
	exif = u32(u32(u16(u16(u16(exif, 1), exifFields), 4), 1), 26) // a directory of one entry, which leads to the next
	exif = u32(exif, 0)
	exif = u32(u32(u16(u16(u16(exif, 1), userComment), 7), uint32(len(comment)+8)), 44)
	exif = u32(exif, 0)
	exif = append(append(exif, "ASCII\x00\x00\x00"...), comment...)
	chunk := append(binary.LittleEndian.AppendUint32([]byte("EXIF"), uint32(len(exif))), exif...)
	return append(picture, chunk...)
}

func TestACardInAWebP(t *testing.T) {
	const card = `{"name":"Zoë","first_mes":"Hi.","description":"Tall."}`
	var numbers []string
	for _, b := range []byte(card) {
		numbers = append(numbers, fmt.Sprint(b))
	}
	for name, data := range map[string][]byte{
		"as text": webp(t, binary.LittleEndian, card), "the other way round": webp(t, binary.BigEndian, card), "as numbers": webp(t, binary.LittleEndian, strings.Join(numbers, ",")),
	} {
		c, report, err := ReadCard("x.webp", data)
		if err != nil || c.Name != "Zoë" || c.FirstMessage != "Hi." || report.Format != "V1 in WebP" {
			t.Errorf("%s: %+v, %+v, %v", name, c, report, err)
		}
		if picture, err := Avatar(data); err != nil || picture == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string][]byte{"no comment": webp(t, binary.LittleEndian, "A picture."), "half a comment": webp(t, binary.LittleEndian, card)[:90]} {
		if _, _, err := ReadCard("x.webp", data); err == nil || !strings.Contains(err.Error(), "the picture holds no character") {
			t.Errorf("%s: %v", name, err)
		}
	}
	saved, _, err := Folder(t.TempDir()).Save("x", webp(t, binary.LittleEndian, card), false)
	if err != nil || saved != "Zoë.webp" {
		t.Errorf("%q, %v", saved, err)
	}
}

func FuzzWebP(f *testing.F) {
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x01\x00\x86\x92\x07\x00\x08\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("MM\x00*\x00\x00\x00\x08\xff\xff\x87\x69\x00\x04\x00\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, exif []byte) {
		ReadCard("x.webp", append(binary.LittleEndian.AppendUint32([]byte("RIFF\x00\x00\x00\x00WEBPEXIF"), uint32(len(exif))), exif...))
		exifComment(exif)
	})
}

func TestACharacterOfAgnai(t *testing.T) {
	c, report, err := ReadCard("x.json", []byte(`{"kind":"character","name":"Ada","description":"For people.","culture":"en-us","greeting":"Hello.","scenario":"A mill.",
		"sampleChat":"{{char}}: Yes.","persona":{"kind":"attributes","attributes":{"mind":["sharp","calm"],"age":["36"]}},"alternateGreetings":["Again."],
		"characterBook":{"kind":"memory","name":"Mill","entries":[{"name":"wheel","entry":"It turns.","keywords":["wheel","water"],"priority":3,"weight":2,"enabled":false}]}}`))
	if err != nil || report.Format != "Agnai as JSON" {
		t.Fatalf("%+v, %v", report, err)
	}
	if c.Name != "Ada" || c.Description != "age: 36\nmind: sharp, calm" || c.CreatorNotes != "For people." || c.FirstMessage != "Hello." || c.Examples != "{{char}}: Yes." || string(c.Extra["culture"]) != `"en-us"` {
		t.Errorf("%+v", c)
	}
	e := c.Book.Entries[0]
	if c.Book.Name != "Mill" || !slices.Equal(e.Keys, []string{"wheel", "water"}) || e.Content != "It turns." || *e.Priority != 3 || e.Order != 2 || e.Enabled {
		t.Errorf("%+v", c.Book)
	}
	c, _, err = ReadCard("x.json", []byte(`{"name":"Bob","greeting":"Hi.","persona":{"kind":"text","attributes":{"text":["Bob bakes."]}}}`))
	if err != nil || c.Description != "Bob bakes." {
		t.Errorf("%+v, %v", c, err)
	}
}
