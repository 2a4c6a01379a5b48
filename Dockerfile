# The demo on a CPU. Built, it asks the net for nothing any more:
#
#     docker build --tag latent-diffusion .
#     docker run --rm --publish 7860:7860 latent-diffusion
#
# docs/hosting.md has more.
FROM python:3.11-slim

# Where torch's build for CPUs comes from; the usual one for Linux brings gigabytes of CUDA along.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    LDM_HOST=0.0.0.0 \
    LDM_PORT=7860

WORKDIR /app
COPY requirements.txt ./
RUN pip install --index-url ${TORCH_INDEX} torch==2.13.0 && pip install --requirement requirements.txt
COPY LICENSE README.md ./
COPY ldm_core ldm_core
COPY evaluation evaluation
COPY prompts prompts
COPY demo demo

RUN useradd --create-home visitor
USER visitor
EXPOSE 7860
HEALTHCHECK --start-period=120s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860')"]
CMD ["python", "-m", "demo.app"]
