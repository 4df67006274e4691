package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/server"
)

// writeCertificate writes a certificate for 127.0.0.1 and its key.
func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTLSWithACertificateThatChanges(t *testing.T) {
	dir := t.TempDir()
	c := &certificate{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	if err := c.load(); err == nil || !strings.Contains(err.Error(), "there is no TLS") {
		t.Errorf("without files: %v", err)
	}
	watching := watchFiles(c.cert, c.key)
	if watching.changed() {
		t.Error("files that are not there have changed")
	}
	writeCertificate(t, c.cert, c.key, 1)
	if !watching.changed() || watching.changed() {
		t.Error("files that have come are not seen, or again and again")
	}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	open, err := listenOn(t, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.wrap(open)
	s := server.New(nil, server.Options{})
	go s.Serve(open[0], open[0].face)
	defer s.Shutdown(t.Context())

	serial := func() int64 {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
		resp, err := client.Get(open[0].url() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 1 {
			t.Errorf("%s %s", resp.Proto, resp.Status)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("certificate %d, want 1", got)
	}
	writeCertificate(t, c.cert, c.key, 2)
	var log strings.Builder
	c.reload(slog.New(slog.NewTextHandler(&log, nil)))
	if got := serial(); got != 2 || !watching.changed() {
		t.Errorf("certificate %d, want 2; %s", got, log.String())
	}
	if err := os.WriteFile(c.key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.reload(slog.New(slog.NewTextHandler(&log, nil)))
	if got := serial(); got != 2 || !strings.Contains(log.String(), "stays as it was") {
		t.Errorf("certificate %d, want 2; %s", got, log.String())
	}
	os.Remove(c.key)
	if watching.changed(); watching.changed() {
		t.Error("a file that has gone is one that has changed")
	}
	resp, err := http.Get(strings.Replace(open[0].url(), "https:", "http:", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %s %s", resp.Status, body)
	}
}
