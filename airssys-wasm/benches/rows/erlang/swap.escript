#!/usr/bin/env escript
%% For how long an OTP server takes no message over suspend, code_change and resume: nanoseconds, one a line, "idle N" and "waiting N".
-mode(compile).

main(_) ->
    [load(Version) || Version <- [1, 2]],
    {ok, Idle} = gen_server:start_link(counter, [], []),
    [io:format("idle ~b~n", [swap(Idle, 0)]) || _ <- lists:seq(1, 200)],
    [io:format("waiting ~b~n", [waiting()]) || _ <- lists:seq(1, 10)].

%% Ten thousand messages wait: they come when it is suspended, since it would handle those first that came before.
waiting() ->
    {ok, Server} = gen_server:start_link(counter, [], []),
    Took = swap(Server, 10000),
    10000 = gen_server:call(Server, count, 60000),
    unlink(Server),
    gen_server:stop(Server),
    Took.

swap(Server, Messages) ->
    ok = sys:suspend(Server, 60000),
    [gen_server:cast(Server, tick) || _ <- lists:seq(1, Messages)],
    Begun = erlang:monotonic_time(nanosecond),
    ok = sys:change_code(Server, counter, 1, [], 60000),
    ok = sys:resume(Server, 60000),
    erlang:monotonic_time(nanosecond) - Begun.

%% The same module twice: old and current code, as after a load.
load(Version) ->
    Text = [
        "-module(counter).",
        "-behaviour(gen_server).",
        "-vsn(" ++ integer_to_list(Version) ++ ").",
        "-export([init/1, handle_call/3, handle_cast/2, code_change/3]).",
        "init([]) -> {ok, 0}.",
        "handle_call(count, _From, Count) -> {reply, Count, Count}.",
        "handle_cast(tick, Count) -> {noreply, Count + 1}.",
        "code_change(_Old, Count, _Extra) -> {ok, Count}."
    ],
    Forms = [form(Line) || Line <- Text],
    {ok, counter, Binary} = compile:forms(Forms, []),
    code:purge(counter),
    {module, counter} = code:load_binary(counter, "counter.erl", Binary).

form(Line) ->
    {ok, Tokens, _} = erl_scan:string(Line),
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.
