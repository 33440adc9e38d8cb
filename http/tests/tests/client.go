// Asks every GET of a client that was generated from /openapi.json, and reads what it answers into the
// types that were generated too. The last line says how many there were; any other is a complaint.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"

	"sentrypeer/client"
)

// What paths have open, by the operation.
var parts = map[string][]string{
	"GetIpAddress":   {"198.18.0.7"},
	"GetNumber":      {"+442071234567"},
	"GetSource":      {"198.18.0.7"},
	"GetOneNumber":   {"+442071234567"},
	"GetFeed":        {"plain"},
	"GetFeedMisp":    {"manifest.json"},
	"GetBanned":      {"k"},
	"GetBannedAfter": {"k", "1"},
}

// What is refused of a node that has no allow-list to change, or for want of a parameter.
var refused = map[string]string{
	"GetCheck":       "400",
	"GetAllowed":     "404",
	"GetBanned":      "401",
	"GetBannedAfter": "401",
}

// Called returns the value, the status line and the error of an operation.
func called(api reflect.Value, name string, in []string) (reflect.Value, string, error) {
	values := []reflect.Value{reflect.ValueOf(context.Background())}
	for _, part := range in {
		values = append(values, reflect.ValueOf(part))
	}
	request := api.MethodByName(name).Call(values)[0]
	out := request.MethodByName("Execute").Call(nil)
	err, _ := out[2].Interface().(error)
	status := "no answer"
	if !out[1].IsNil() {
		status = out[1].Elem().FieldByName("Status").String()
	}
	return out[0], status, err
}

func main() {
	configuration := client.NewConfiguration()
	configuration.Servers = client.ServerConfigurations{{URL: os.Args[1]}}
	service := client.NewAPIClient(configuration).DefaultAPI
	api := reflect.ValueOf(service)
	events, _, err := service.GetEvents(context.Background()).Limit(1).Execute()
	if err != nil || len(events.Events) != 1 {
		fmt.Println("there is no event:", err)
		os.Exit(1)
	}
	parts["GetEvent"] = []string{events.Events[0].Id}
	operations, complaints := 0, 0
	for i := 0; i < api.NumMethod(); i++ {
		name := api.Type().Method(i).Name
		// The stream never ends, and what ends with Execute is called by the others.
		if !strings.HasPrefix(name, "Get") || strings.HasSuffix(name, "Execute") || name == "GetEventStream" {
			continue
		}
		operations++
		_, status, err := called(api, name, parts[name])
		if want, ok := refused[name]; ok {
			if err == nil || !strings.HasPrefix(status, want) {
				complaints++
				fmt.Println(name, "is", status, "and not", want)
			}
		} else if err != nil || !strings.HasPrefix(status, "200") {
			complaints++
			fmt.Println(name, status, err)
		}
	}
	complaints += known(service)
	fmt.Println(operations, "operations")
	if complaints > 0 || operations < 30 {
		os.Exit(1)
	}
}

// Known looks whether what was seen has arrived in the fields, and parameters in the request.
func known(service *client.DefaultAPIService) int {
	ctx := context.Background()
	complaints := 0
	expect := func(what string, found, wanted interface{}) {
		if found != wanted {
			complaints++
			fmt.Println(what, "is", found, "and not", wanted)
		}
	}
	check, _, err := service.GetCheck(ctx).Ip("198.18.0.7").Number("+442071234567").Execute()
	if err != nil {
		fmt.Println("check:", err)
		return 1
	}
	expect("ip.blocked", check.Ip.Blocked, true)
	expect("number.country", check.Number.GetCountry(), "GB")
	sources, _, err := service.GetSources(ctx).Prefix("2a00::/16").Limit(5).Execute()
	if err != nil {
		fmt.Println("sources:", err)
		return 1
	}
	expect("the number of sources", len(sources.Sources), 1)
	for _, source := range sources.Sources {
		expect("the source", source.Address, "2a00:1450:1:2::9")
	}
	status, _, err := service.GetStatus(ctx).Execute()
	if err != nil {
		fmt.Println("status:", err)
		return 1
	}
	expect("mode", status.Mode, "responsive")
	_, _, err = service.GetSources(ctx).Limit(0).Execute()
	expect("a refusal", err != nil, true)
	return complaints
}
