/** dmn-js reads DMN 1.3; the elements of 1.2 to 1.6 that it draws are the same under another namespace. */
const OLDER = "https://www.omg.org/spec/DMN/20191111/";
export const readable = (xml: string) => xml.replace(/https?:\/\/www\.omg\.org\/spec\/DMN\/(20180521|20211108|20230324|20240513)\/(?=MODEL\/|DMNDI\/)/g, OLDER);
