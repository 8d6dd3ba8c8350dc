# ggml's base library and CUDA backend as a plugin that ggml_backend_load finds. The
# module's own CMake files belong to a larger build; these are its settings.
set(GGML ${GGML_DIR}/src)
if(NOT EXISTS ${GGML}/ggml-cuda/ggml-cuda.cu)
    message(FATAL_ERROR "GGML_DIR=${GGML_DIR} holds no src/ggml-cuda/ggml-cuda.cu")
endif()
set(GGML_DEFINITIONS NDEBUG _XOPEN_SOURCE=600 _GNU_SOURCE GGML_VERSION="0x0" GGML_COMMIT="0x0" GGML_SCHED_MAX_COPIES=4
    GGML_BACKEND_DL GGML_BUILD GGML_SHARED GGML_BACKEND_BUILD GGML_BACKEND_SHARED)

add_library(ggml-base SHARED
    ${GGML}/ggml.c ${GGML}/ggml.cpp ${GGML}/ggml-alloc.c ${GGML}/ggml-backend.cpp ${GGML}/ggml-opt.cpp
    ${GGML}/ggml-threading.cpp ${GGML}/ggml-quants.c ${GGML}/gguf.cpp
    ${GGML}/mem_hip.cpp ${GGML}/mem_nvml.cpp ${GGML}/mem_dxgi_pdh.cpp)
target_compile_definitions(ggml-base PRIVATE ${GGML_DEFINITIONS})
target_include_directories(ggml-base PUBLIC ${GGML_DIR}/include PRIVATE ${GGML})
target_link_libraries(ggml-base PRIVATE ${CMAKE_DL_LIBS} m pthread)

file(GLOB GGML_CUDA_SOURCES
    ${GGML}/ggml-cuda/*.cu
    ${GGML}/ggml-cuda/template-instances/fattn-tile*.cu
    ${GGML}/ggml-cuda/template-instances/fattn-mma*.cu
    ${GGML}/ggml-cuda/template-instances/mmq*.cu
    ${GGML}/ggml-cuda/template-instances/mmf*.cu
    ${GGML}/ggml-cuda/template-instances/fattn-vec*q4_0-q4_0.cu
    ${GGML}/ggml-cuda/template-instances/fattn-vec*q8_0-q8_0.cu
    ${GGML}/ggml-cuda/template-instances/fattn-vec*f16-f16.cu)
add_library(ggml-cuda MODULE ${GGML_CUDA_SOURCES})
target_compile_definitions(ggml-cuda PRIVATE ${GGML_DEFINITIONS} GGML_CUDA_USE_GRAPHS GGML_CUDA_PEER_MAX_BATCH_SIZE=128)
target_include_directories(ggml-cuda PRIVATE ${GGML} ${GGML}/ggml-cuda)
target_compile_options(ggml-cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-use_fast_math -extended-lambda -Xcompiler=-w -diag-suppress=177>)
set_target_properties(ggml-cuda PROPERTIES CUDA_ARCHITECTURES ${ARCH}-real CUDA_RUNTIME_LIBRARY Static)
target_link_libraries(ggml-cuda PRIVATE ggml-base CUDA::cudart_static CUDA::cublas CUDA::cuda_driver)
