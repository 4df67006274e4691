//go:build clients

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestTheBotOfPythonCarriesATalkOfManyPeople(t *testing.T) {
	carries(t, func(url, lines string) (string, error) {
		cmd := exec.Command("python3", "bot.py", "sally", url)
		cmd.Stdin, cmd.Stderr = strings.NewReader(lines), os.Stderr
		said, err := cmd.Output()
		return string(said), err
	})
}
