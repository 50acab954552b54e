/* neurodecode: decodes viewed images from brain recordings, on the command line. Uses the public interface of the library only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

extern const command simulate_command, prepare_command, prepare_fmri_command, info_command, convert_command, train_command, embed_command,
    evaluate_command, align_command;
static const command *const commands[] = { &simulate_command, &prepare_command, &prepare_fmri_command, &info_command, &convert_command,
                                           &train_command,    &embed_command,   &evaluate_command,     &align_command };
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *to)
{
    fputs("Usage: neurodecode COMMAND [OPTION...] [ARGUMENT...]\n"
          "\n"
          "Decodes viewed images from brain recordings (EEG, MEG, fMRI): trains an encoder\n"
          "against the embeddings of an image model and finds the seen image among candidates.\n"
          "\n"
          "Commands:\n",
          to);
    for (size_t i = 0; i < N_COMMANDS; i++) fprintf(to, "  %-18s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n"
          "  --help      this text; after a command: its options and examples\n"
          "  --version   versions, kernels in use, features\n"
          "\n"
          "Examples:\n"
          "  neurodecode simulate world\n"
          "  neurodecode train world --subject 1 --embeddings aligned -o model.safetensors\n"
          "  neurodecode evaluate world --subject 1 --model model.safetensors\n"
          "\n"
          "Exit status: 0 done, 1 failed (one line says why), 2 wrong usage.\n",
          to);
}

static void print_version(bool as_json)
{
    json_t *build = json_loads(nd_build_info(), 0, NULL);
    const char *key;
    json_t *value;
    if (as_json) {
        print_json(build);
        return;
    }
    printf("neurodecode %s\n", nd_version());
    json_object_foreach(build, key, value)
    {
        if (strcmp(key, "version") == 0) continue;
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        printf("%s: %s\n", key, json_is_string(value) ? json_string_value(value) : text ? text : "");
        free(text);
    }
    json_decref(build);
}

/* The command that the first two words or the first one name; *n_words: how many. NULL if there is none. */
static const command *find_command(int argc, char **argv, int *n_words)
{
    char name[64];
    for (*n_words = argc > 2 ? 2 : 1; *n_words > 0; --*n_words) {
        snprintf(name, sizeof name, "%s%s%s", argv[1], *n_words == 2 ? " " : "", *n_words == 2 ? argv[2] : "");
        for (size_t i = 0; i < N_COMMANDS; i++)
            if (strcmp(name, commands[i]->name) == 0) return commands[i];
    }
    return NULL;
}

static int run(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        print_version(argc > 2 && (strcmp(argv[2], "--json") == 0 || strcmp(argv[2], "-j") == 0));
        return 0;
    }
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    int n_words;
    const command *c = find_command(argc, argv, &n_words);
    if (c) return run_command(c, argc - n_words, argv + n_words);
    return misused("'%s' is not a command; see neurodecode --help", word);
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) status = refused("standard output cannot be written");
    return status;
}
