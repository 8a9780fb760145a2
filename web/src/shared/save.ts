/** Hands something to the browser as a file. */
export function save(name: string, type: string, text: BlobPart) {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([text], { type }));
  a.download = name;
  a.click();
  URL.revokeObjectURL(a.href);
}
