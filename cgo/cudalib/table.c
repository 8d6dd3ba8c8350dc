#include "table.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

pp_table * pp_table_open(const char * path, const char ** missing, char ** error) {
    *missing      = NULL;
    *error        = NULL;
    void * handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char * text = dlerror();
        *error            = strdup(text ? text : "unknown error");
        return NULL;
    }
    pp_table * t = calloc(1, sizeof *t);
    if (!t) {
        return NULL;
    }
    t->handle = handle;
#define PP_LOAD(name)                                                                                                  \
    if (!*missing) {                                                                                                   \
        *(void **)(&t->name) = dlsym(handle, #name);                                                                   \
        *missing             = t->name ? NULL : #name;                                                                 \
    }
    PP_FUNCTIONS(PP_LOAD)
#undef PP_LOAD
    if (*missing) {
        free(t);
        dlclose(handle);
        return NULL;
    }
    return t;
}

int pp_preload(const char * name) { return dlopen(name, RTLD_LAZY | RTLD_GLOBAL) ? 0 : 1; }
