// Serves govmomi's simulator of the vSphere API, which Debian packages as a library without a program.
//
// It answers in plain HTTP on a port of loopback and tells its number on standard output. The first line of its standard
// input is the password of the user "lab"; it ends when that input ends, as it does when its owner is killed.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/vmware/govmomi/simulator"
)

func main() {
	kind := flag.String("model", "esx", "esx: one host; vpx: a vCenter with a data center, a host and a cluster")
	guests := flag.Int("guests", 2, "guests of each resource pool")
	delay := flag.Int("delay", 0, "how much longer each method takes, in milliseconds")
	port := flag.Int("port", 0, "the port to listen at; 0 for one that is free")
	flag.Parse()

	input := bufio.NewReader(os.Stdin)
	password, err := input.ReadString('\n')
	failOn(err)

	models := map[string]func() *simulator.Model{"esx": simulator.ESX, "vpx": simulator.VPX}
	model := models[*kind]()
	model.Machine = *guests
	model.DelayConfig.Delay = *delay
	failOn(model.Create())
	model.Service.Listen = &url.URL{
		Host: fmt.Sprintf("127.0.0.1:%d", *port),
		User: url.UserPassword("lab", strings.TrimSuffix(password, "\n")),
	}
	server := model.Service.NewServer()
	fmt.Println(server.URL.Port())
	io.Copy(io.Discard, input)
	server.Close()
	model.Remove()
}

func failOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
