// The foreign end of a Noise XK session: the Go implementation that Debian ships, spoken to over stdin and
// stdout in frames of a 16-bit big-endian length and that many bytes.
//
//	peer initiator PROLOGUE RESPONDER-KEY-HEX
//	peer responder PROLOGUE
//
// First frame out: its static public key, in the clear, for the driver to compare. Then the three handshake
// messages, the transcript hash as its first transport message, and from then on each message that comes is
// opened, reversed and sealed again. Exit: 0 at end of input, 3 when a message does not authenticate, 1 for
// anything else.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/flynn/noise"
)

const (
	exitFailed  = 1
	exitRefused = 3
)

var errRefused = errors.New("a message does not authenticate")

type frames struct {
	in  *bufio.Reader
	out *bufio.Writer
}

func (f *frames) read() ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(f.in, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(f.in, body); err != nil {
		return nil, fmt.Errorf("a frame was cut: %w", err)
	}
	return body, nil
}

func (f *frames) write(body []byte) error {
	if len(body) > noise.MaxMsgLen {
		return fmt.Errorf("a frame of %d bytes", len(body))
	}
	var head [2]byte
	binary.BigEndian.PutUint16(head[:], uint16(len(body)))
	f.out.Write(head[:])
	f.out.Write(body)
	return f.out.Flush()
}

type session struct {
	send, receive *noise.CipherState
	hash          []byte
}

// handshake runs the three messages, each with the name of its sender and number as its payload.
func handshake(f *frames, config noise.Config) (*session, error) {
	state, err := noise.NewHandshakeState(config)
	if err != nil {
		return nil, err
	}
	var first, second *noise.CipherState
	for i := 0; i < 3; i++ {
		if (i%2 == 0) == config.Initiator {
			var message []byte
			message, first, second, err = state.WriteMessage(nil, []byte(fmt.Sprintf("go %d", i)))
			if err != nil {
				return nil, err
			}
			if err = f.write(message); err != nil {
				return nil, err
			}
			continue
		}
		message, err := f.read()
		if err != nil {
			return nil, err
		}
		var payload []byte
		payload, first, second, err = state.ReadMessage(nil, message)
		if err != nil {
			return nil, fmt.Errorf("%w: handshake message %d: %v", errRefused, i, err)
		}
		if want := fmt.Sprintf("c %d", i); string(payload) != want {
			return nil, fmt.Errorf("payload %q where %q was due", payload, want)
		}
	}
	if config.Initiator {
		return &session{first, second, state.ChannelBinding()}, nil
	}
	return &session{second, first, state.ChannelBinding()}, nil
}

func (s *session) seal(f *frames, plain []byte) error {
	sealed, err := s.send.Encrypt(nil, nil, plain)
	if err != nil {
		return err
	}
	return f.write(sealed)
}

func (s *session) echo(f *frames) error {
	for {
		sealed, err := f.read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		plain, err := s.receive.Decrypt(nil, nil, sealed)
		if err != nil {
			return fmt.Errorf("%w: %v", errRefused, err)
		}
		for i, j := 0, len(plain)-1; i < j; i, j = i+1, j-1 {
			plain[i], plain[j] = plain[j], plain[i]
		}
		if err := s.seal(f, plain); err != nil {
			return err
		}
	}
}

func configure(args []string) (noise.Config, error) {
	config := noise.Config{
		CipherSuite: noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256),
		Pattern:     noise.HandshakeXK,
	}
	switch {
	case len(args) == 4 && args[1] == "initiator":
		key, err := hex.DecodeString(args[3])
		if err != nil || len(key) != 32 {
			return config, fmt.Errorf("%q is not a key of 64 hex digits", args[3])
		}
		config.Initiator = true
		config.PeerStatic = key
	case len(args) == 3 && args[1] == "responder":
	default:
		return config, errors.New("usage: peer initiator PROLOGUE RESPONDER-KEY-HEX | peer responder PROLOGUE")
	}
	config.Prologue = []byte(args[2])
	key, err := noise.DH25519.GenerateKeypair(rand.Reader)
	config.StaticKeypair = key
	return config, err
}

func run() error {
	config, err := configure(os.Args)
	if err != nil {
		return err
	}
	f := &frames{bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)}
	if err := f.write(config.StaticKeypair.Public); err != nil {
		return err
	}
	s, err := handshake(f, config)
	if err != nil {
		return err
	}
	if err := s.seal(f, s.hash); err != nil {
		return err
	}
	return s.echo(f)
}

func main() {
	err := run()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "peer:", err)
	if errors.Is(err, errRefused) {
		os.Exit(exitRefused)
	}
	os.Exit(exitFailed)
}
