package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"parley/internal/server"
)

const defaultListen = "127.0.0.1:7275"

// portOwners says which programs people run on which port.
var portOwners = map[int]string{
	1234:  "LM Studio",
	3000:  "Open WebUI or a development server",
	5000:  "text-generation-webui, or AirPlay on macOS",
	5001:  "KoboldCpp",
	5005:  "text-generation-webui",
	7275:  "another Parley",
	7860:  "text-generation-webui's page",
	8000:  "SillyTavern, vLLM or MLC",
	8080:  "llama.cpp's server or LocalAI",
	11434: "Ollama",
}

// A listener is a socket and what it looks like to clients.
type listener struct {
	net.Listener
	face   server.Face
	secure bool // it speaks TLS
}

func (l listener) isUnix() bool { return l.Addr().Network() == "unix" }

// url is how a program on this machine reaches the listener.
func (l listener) url() string {
	if l.isUnix() {
		return unixPrefix + l.Addr().String()
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if l.secure {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port)
}

// A place is an address to listen on, and how it was asked for.
type place struct {
	address string
	face    server.Face
	option  string // "--listen 127.0.0.1:7275", "--as mlc"
}

// places works out where to listen: with all dialects where --listen says, and
// for each face of --as on the ports where its clients look. A face whose port
// is listened on already narrows that one down.
func places(addresses, as []string) ([]place, error) {
	var all []place
	for _, a := range addresses {
		all = append(all, place{a, server.Own, "--listen " + a})
	}
	for _, name := range as {
		f, err := faceNamed(name)
		if err != nil {
			return nil, err
		}
		for _, port := range f.Ports {
			address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			if i := slices.IndexFunc(all, func(p place) bool { return p.address == address }); i >= 0 {
				all[i].face = f
				continue
			}
			all = append(all, place{address, f, "--as " + name})
		}
	}
	return all, nil
}

// listen opens every address, or none: a server that is half there is worse
// than an error.
func listen(ctx context.Context, all []place, keyed bool) (open []listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range open {
				l.Close()
			}
			open = nil
		}
	}()
	for _, p := range all {
		if strings.HasPrefix(p.address, unixPrefix) {
			l, err := listenUnix(ctx, p.address)
			if err != nil {
				return open, err
			}
			open = append(open, listener{Listener: l, face: p.face})
			continue
		}
		if err := checkAddress(p.address, keyed); err != nil {
			return open, err
		}
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", p.address)
		if err != nil {
			return open, listenError(p, err)
		}
		open = append(open, listener{Listener: l, face: p.face})
	}
	return open, nil
}

func faceNamed(name string) (server.Face, error) {
	if f, ok := server.FaceNamed(name); ok {
		return f, nil
	}
	known := "known: " + strings.Join(faceNames(), ", ")
	return server.Face{}, usageError(known, "--as %s: there is no such face", name)
}

// faceNames lists the names that --as takes.
func faceNames() []string {
	var names []string
	for _, f := range server.Faces {
		if f.Name != server.Own.Name {
			names = append(names, f.Name)
		}
	}
	return names
}

// checkAddress refuses what cannot be an address, and one that strangers reach
// while no key is asked for.
func checkAddress(address string, keyed bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return usageError("write it as HOST:PORT, for example "+defaultListen+", or as unix:/FILE", "--listen %s is not an address", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return usageError("a port is a number from 1 to 65535; 0 takes any that is free", "--listen %s: %q is not a port", address, port)
	}
	if keyed || isLoopback(host) {
		return nil
	}
	return &userError{
		Usage:   true,
		Message: fmt.Sprintf("--listen %s can be reached from other machines, and no API key is asked for", address),
		Hint:    "give --api-key-file FILE (or PARLEY_API_KEY), or listen on " + net.JoinHostPort("127.0.0.1", port),
	}
}

// isLoopback reports whether only this machine reaches a host. No host is all
// interfaces.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// listenError says who has the port, as far as that can be known.
func listenError(p place, err error) error {
	_, port, _ := net.SplitHostPort(p.address)
	number, _ := strconv.Atoi(port)
	option := p.option
	if !strings.HasSuffix(option, p.address) {
		option += " (" + p.address + ")"
	}
	e := &userError{Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE), isWindowsInUse(err):
		e.Message = fmt.Sprintf("%s: the port is in use", option)
		if owner := processListening(number); owner != "" {
			e.Message += " by " + owner
		} else if owner := portOwners[number]; owner != "" {
			e.Message += ", probably by " + owner
		}
		e.Hint = "stop that program, or listen elsewhere: --listen " + strings.TrimSuffix(p.address, port) + "0 takes any free port"
		if strings.HasPrefix(p.option, "--as ") {
			e.Hint = "stop that program, or leave out " + p.option + " and point the client to http://" + defaultListen
		}
	case errors.Is(err, fs.ErrPermission):
		e.Message = fmt.Sprintf("%s: permission denied", option)
		e.Hint = "ports below 1024 belong to the system: listen on " + defaultListen
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Message = fmt.Sprintf("%s is not an address of this machine", option)
		e.Hint = "listen on " + defaultListen
	default:
		e.Message = fmt.Sprintf("%s: %v", option, plainCause(err))
	}
	return e
}

// isWindowsInUse knows what Windows calls a port in use (WSAEADDRINUSE).
func isWindowsInUse(err error) bool {
	const wsaeaddrinuse = 10048
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && errno == wsaeaddrinuse
}
